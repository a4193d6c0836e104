import 'reflect-metadata'; import 'nestjs-reliable-mq'; console.log('ok')
