import {
  type CanActivate,
  Controller,
  type DynamicModule,
  Module,
  type Provider,
  type Type,
  UseGuards,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { Access } from './access';
import { ConsoleActionApi } from './action.controller';
import { Actions } from './actions';
import { ConsoleReadApi } from './api.controller';
import { ASYNC_OPTIONS_TYPE, ConfigurableModuleClass, OPTIONS_TYPE } from './console-definition';
import { type ConsoleExtras, EXTRAS_DEFAULTS, isGuard, resolveConsoleOptions } from './console-options';
import { CONSOLE_EXTRAS, CONSOLE_OPTIONS, GIVEN_CONSOLE_OPTIONS } from './console-tokens';
import { EventAnswers } from './event-answers';
import { FailureAnswers } from './failure-answers';
import { HandlingAnswers } from './handling-answers';
import { JourneyAnswers } from './journey-answers';
import { NowAnswers } from './now-answers';
import { ConsolePage } from './page.controller';
import { QueueAnswers } from './queue-answers';
import { Redaction } from './redaction';
import { Replies } from './replies';
import { Runs } from './runs';
import { SessionAnswers } from './session-answers';
import { Sources } from './sources';
import { Totals } from './totals';

const PROVIDERS: readonly Provider[] = [
  { provide: CONSOLE_OPTIONS, useFactory: resolveConsoleOptions, inject: [GIVEN_CONSOLE_OPTIONS, CONSOLE_EXTRAS] },
  Access,
  Replies,
  Redaction,
  Sources,
  Totals,
  SessionAnswers,
  NowAnswers,
  EventAnswers,
  HandlingAnswers,
  JourneyAnswers,
  FailureAnswers,
  QueueAnswers,
  Runs,
  Actions,
];

/** In the order of their routes: what begins with `api/` comes before what may be anything. */
const CONTROLLERS: readonly Type[] = [ConsoleReadApi, ConsoleActionApi, ConsolePage];

/**
 * The console of an application that has `ReliableMqModule`. Import it in the root module:
 * `ReliableMqConsoleModule.forRoot({ guards: [AdminGuard], role: ({ user }) => (isOperator(user) ? 'act' : 'read') })`.
 * A guard whose dependencies are not global finds them in `imports`.
 */
@Module({})
export class ReliableMqConsoleModule extends ConfigurableModuleClass {
  /** @throws InvalidSetupError, when the application starts, without `guards` and with options that cannot work */
  static override forRoot(options: typeof OPTIONS_TYPE): DynamicModule {
    return complete(super.forRoot(options), options);
  }

  /** As `forRoot`; `path`, `guards` and `imports` stand beside `useFactory`, since they shape the module. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return complete(super.forRootAsync(options), options);
  }
}

function complete(
  definition: DynamicModule,
  {
    path = EXTRAS_DEFAULTS.path,
    guards = EXTRAS_DEFAULTS.guards,
    imports = [],
  }: Partial<ConsoleExtras> & Pick<DynamicModule, 'imports'>,
): DynamicModule {
  const extras: ConsoleExtras = { path, guards };
  return {
    ...definition,
    imports: [...new Set([...(definition.imports ?? []), ...imports])],
    providers: [...(definition.providers ?? []), { provide: CONSOLE_EXTRAS, useValue: extras }, ...PROVIDERS],
    controllers: CONTROLLERS.map((each) => controllerAt(extras, each)),
  };
}

/** A class of its own for each import of the module, so that two applications in one process do not share path and guards. */
function controllerAt({ path, guards }: ConsoleExtras, base: Type): Type {
  const controller = class extends base {};
  Object.defineProperty(controller, 'name', { value: base.name });
  // What is wrong with them is said when the options are resolved, before anybody can call.
  const valid = Array.isArray(guards) ? (guards as readonly (Type<CanActivate> | CanActivate)[]).filter(isGuard) : [];
  Controller({ path, version: VERSION_NEUTRAL })(controller);
  UseGuards(...valid)(controller);
  return controller;
}
