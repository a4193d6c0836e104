import type { ContextType, Type } from '@nestjs/common';
import type { ApplicationConfig } from '@nestjs/core';
import { EXCEPTION_FILTERS_METADATA, FILTER_CATCH_EXCEPTIONS } from '@nestjs/common/constants.js';
import type { ExternalContextCreator } from '@nestjs/core/helpers/external-context-creator.js';
import type { ParamsFactory } from '@nestjs/core/helpers/external-context-creator.js';
import { describeError, isRejectEvent, remarkOn } from '../event/errors';
import { settled } from '../event/decorated-method';
import { copyMetadata } from '../event/copy-metadata';
import { createLog } from '../log/log';
import type { BatchContext, EventContext } from './event-context';
import { CONTEXT_ARGUMENT, HANDLER_ARGUMENTS, PAYLOAD_ARGUMENT } from './reliable-event-handler.decorator';

/** `ExecutionContext.getType()` inside a handler's guards, interceptors, pipes and filters. */
export const RELIABLE_MQ_CONTEXT = 'reliable-mq';

/** For what sees requests and events: `context.getType<ReliableMqContextType>() === RELIABLE_MQ_CONTEXT`. */
export type ReliableMqContextType = typeof RELIABLE_MQ_CONTEXT | ContextType;

const BEFORE_HANDLER =
  'thrown before the handler, by a guard, pipe or interceptor; global ones see handlers too: ' +
  `context.getType() is '${RELIABLE_MQ_CONTEXT}'`;
/** A failing filter's error stands behind the handler's, which must have room. */
const FILTER_ERROR_MAX_LENGTH = 300;
const STACK_MAX_LENGTH = 2000;

const parameters: ParamsFactory = {
  exchangeKeyForValue: (type: number, _data: unknown, args: unknown[]) => {
    if (type === PAYLOAD_ARGUMENT) return args[0];
    return type === CONTEXT_ARGUMENT ? args[1] : undefined;
  },
};

/** A handler's method in its provider or controller. */
export interface HandlerMethod {
  readonly instance: object;
  readonly name: string;
  /** `StockService#deduct`, for messages. */
  readonly label: string;
  /** Key of the module whose controller it is; undefined for a provider. */
  readonly controllerModule: string | undefined;
}

/** One call of a handler, as far as it has come. */
interface Call {
  hasEntered: boolean;
  error?: unknown;
}

const CALL = Symbol('ReliableMq.Call');

type CalledContext = (EventContext | BatchContext) & { [CALL]?: Call };

/**
 * Make a method callable the way Nest calls controllers: guards, interceptors and pipes apply.
 *
 * Exception filters see what the handler throws and may make a RejectEvent of it. A filter that returns normally does not make the
 * attempt a success: the handler stopped halfway, and its transaction must not commit. One that fails, as a filter written for
 * HTTP does, must not hide why the handler did. That is why filters are asked afterwards, and only when one of them catches the error:
 * Nest prints what none catches as an ERROR of its own, with a stack, also a RejectEvent, which is no error.
 */
export function createInvoker(
  creator: ExternalContextCreator,
  config: Pick<ApplicationConfig, 'getGlobalFilters'>,
  host: HandlerMethod,
): (event: object, context: EventContext | BatchContext) => Promise<unknown> {
  const { instance, name: methodName, label, controllerModule } = host;
  const logger = createLog();
  const contexts = controllerModule === undefined ? creator : ofControllers(creator, controllerModule);
  const method = (instance as Record<string, unknown>)[methodName] as (...args: unknown[]) => unknown;
  const entering = new Proxy(method, {
    apply: (target, self: unknown, args: unknown[]) => {
      const context = args[1] as CalledContext;
      const call = context[CALL];
      if (call) call.hasEntered = true;
      return settled(Reflect.apply(target, self, args), label, context);
    },
  });
  copyMetadata(method, entering);
  const unfiltered = contexts.create(
    instance,
    entering,
    methodName,
    HANDLER_ARGUMENTS,
    parameters,
    undefined,
    undefined,
    { guards: true, interceptors: true, filters: false },
    RELIABLE_MQ_CONTEXT,
  ) as (...args: unknown[]) => Promise<unknown>;

  const failing = async (_event: unknown, context: unknown): Promise<never> => {
    throw (context as CalledContext)[CALL]?.error;
  };
  copyFilters(method, failing);
  const filters = contexts.create(
    instance,
    failing,
    `${methodName}:filters`,
    undefined,
    undefined,
    undefined,
    undefined,
    { guards: false, interceptors: false, filters: true },
    RELIABLE_MQ_CONTEXT,
  ) as (...args: unknown[]) => Promise<unknown>;
  const caught = caughtByFilters(config, instance, method);

  return async (event, context) => {
    const call: Call = { hasEntered: false };
    (context as CalledContext)[CALL] = call;
    try {
      return await unfiltered(event, context);
    } catch (error) {
      call.error = error;
    }
    const { error } = call;
    const remarks = call.hasEntered ? [] : [BEFORE_HANDLER];
    if (caught(error)) {
      try {
        await filters(event, context);
      } catch (ofFilter) {
        if (isRejectEvent(ofFilter)) throw ofFilter;
        if (ofFilter !== error)
          remarks.push(`and the exception filter failed: ${describeError(ofFilter, FILTER_ERROR_MAX_LENGTH)}`);
      }
    }
    if (error instanceof Error && !isRejectEvent(error))
      logger.debug('A handler threw', { handler: label, stack: error.stack?.slice(0, STACK_MAX_LENGTH) });
    remarkOn(error, remarks.join('; '));
    throw error;
  };
}

/** Whether one of the exception filters that apply to a method is for this error: its own, its class's, or a global one. */
function caughtByFilters(
  config: Pick<ApplicationConfig, 'getGlobalFilters'>,
  instance: object,
  method: object,
): (error: unknown) => boolean {
  const filters = [method, instance.constructor].flatMap(
    (declaring) => (Reflect.getMetadata(EXCEPTION_FILTERS_METADATA, declaring) as unknown[] | undefined) ?? [],
  );
  const caught = [...filters, ...config.getGlobalFilters()].map((filter) => {
    const filterClass = typeof filter === 'function' ? filter : (filter as object).constructor;
    return (Reflect.getMetadata(FILTER_CATCH_EXCEPTIONS, filterClass) as Type[] | undefined) ?? [];
  });
  return (error) => caught.some((classes) => classes.length === 0 || classes.some((each) => error instanceof each));
}

/**
 * Nest's creator looks for a method's module among the providers only. For a controller it finds none, and would leave out,
 * without a word, every guard, interceptor, pipe and filter that is given as a class.
 */
function ofControllers(creator: ExternalContextCreator, moduleKey: string): ExternalContextCreator {
  const find = { value: () => moduleKey };
  return Object.create(creator, { getContextModuleKey: find, getHostModuleKey: find }) as ExternalContextCreator;
}

function copyFilters(from: object, to: object): void {
  const filters: unknown = Reflect.getMetadata(EXCEPTION_FILTERS_METADATA, from);
  if (filters !== undefined) Reflect.defineMetadata(EXCEPTION_FILTERS_METADATA, filters, to);
}
