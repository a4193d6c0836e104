import type { ContextType } from '@nestjs/common';
import { EXCEPTION_FILTERS_METADATA } from '@nestjs/common/constants.js';
import type { ExternalContextCreator } from '@nestjs/core/helpers/external-context-creator.js';
import type { ParamsFactory } from '@nestjs/core/helpers/external-context-creator.js';
import { describeError, isRejectEvent, remarkOn } from '../event/errors';
import { copyMetadata } from '../event/copy-metadata';
import type { EventContext } from './event-context';
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
  /** Key of the module whose controller it is; undefined for a provider. */
  readonly controllerModule: string | undefined;
}

/** One call of a handler, as far as it has come. */
interface Call {
  hasEntered: boolean;
  failure?: { readonly error: unknown };
}

/**
 * Make a method callable the way Nest calls controllers: guards, interceptors and pipes apply.
 *
 * Exception filters see what the handler throws and may make a RejectEvent of it. A filter that returns normally does not make the
 * attempt a success: the handler stopped halfway, and its transaction must not commit. One that fails, as a filter written for
 * HTTP does, must not hide why the handler did. That is why filters are a layer of their own around the rest.
 */
export function createInvoker(
  creator: ExternalContextCreator,
  host: HandlerMethod,
): (event: object, context: EventContext) => Promise<unknown> {
  const { instance, name: methodName, controllerModule } = host;
  const contexts = controllerModule === undefined ? creator : ofControllers(creator, controllerModule);
  const method = (instance as Record<string, unknown>)[methodName] as (...args: unknown[]) => unknown;
  const calls = new WeakMap<object, Call>();
  const entering = new Proxy(method, {
    apply: (target, self: unknown, args: unknown[]) => {
      const call = calls.get(args[1] as object);
      if (call) call.hasEntered = true;
      return Reflect.apply(target, self, args);
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

  const remembering = async (event: unknown, context: unknown): Promise<unknown> => {
    try {
      return await unfiltered(event, context);
    } catch (error) {
      const call = calls.get(context as object);
      if (call) call.failure = { error };
      throw error;
    }
  };
  copyFilters(method, remembering);
  const filtered = contexts.create(
    instance,
    remembering,
    `${methodName}:filters`,
    undefined,
    undefined,
    undefined,
    undefined,
    { guards: false, interceptors: false, filters: true },
    RELIABLE_MQ_CONTEXT,
  ) as (...args: unknown[]) => Promise<unknown>;

  return async (event, context) => {
    const call: Call = { hasEntered: false };
    calls.set(context, call);
    const remarks: string[] = [];
    try {
      const result = await filtered(event, context);
      if (!call.failure) return result;
    } catch (error) {
      if (!call.failure || isRejectEvent(error)) throw error;
      if (error !== call.failure.error)
        remarks.push(`and the exception filter failed: ${describeError(error, FILTER_ERROR_MAX_LENGTH)}`);
    }
    const { error } = call.failure;
    if (!call.hasEntered) remarks.unshift(BEFORE_HANDLER);
    remarkOn(error, remarks.join('; '));
    throw error;
  };
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
