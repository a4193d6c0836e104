import { ConfigurableModuleBuilder, type DynamicModule } from '@nestjs/common';
import { type ConsoleExtras, type ConsoleOptions, EXTRAS_DEFAULTS } from './console-options';
import { GIVEN_CONSOLE_OPTIONS } from './console-tokens';

export const { ConfigurableModuleClass, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<ConsoleOptions>({
    moduleName: 'ReliableMqConsole',
    optionsInjectionToken: GIVEN_CONSOLE_OPTIONS,
  })
    .setClassMethodName('forRoot')
    .setExtras<ConsoleExtras & Pick<DynamicModule, 'imports'>>(
      { ...EXTRAS_DEFAULTS, imports: [] },
      (definition) => definition,
    )
    .build();
