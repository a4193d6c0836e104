import { EXCEPTION_FILTERS_METADATA } from '@nestjs/common/constants';
import type { ExternalContextCreator } from '@nestjs/core/helpers/external-context-creator';
import type { ParamsFactory } from '@nestjs/core/helpers/external-context-creator';
import type { EventContext } from './event-context';
import { CONTEXT_ARGUMENT, HANDLER_ARGUMENTS, PAYLOAD_ARGUMENT } from './reliable-event-handler.decorator';

/** `ExecutionContext.getType()` inside a handler's guards, interceptors, pipes and filters. */
export const CONTEXT_TYPE = 'reliable-mq';

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

/**
 * Make a method callable the way Nest calls controllers: guards, interceptors and pipes apply.
 *
 * Exception filters see what the handler throws and may throw something else, for example a RejectEvent. A filter that
 * returns normally does not make the attempt a success: the handler stopped halfway, and its transaction must not commit.
 * That is why filters are a layer of their own around the rest.
 */
export function createInvoker(
  creator: ExternalContextCreator,
  host: HandlerMethod,
): (event: object, context: EventContext) => Promise<unknown> {
  const { instance, name: methodName, controllerModule } = host;
  const contexts = controllerModule === undefined ? creator : ofControllers(creator, controllerModule);
  const method = (instance as Record<string, unknown>)[methodName] as (...args: unknown[]) => unknown;
  const call = contexts.create(
    instance,
    method,
    methodName,
    HANDLER_ARGUMENTS,
    parameters,
    undefined,
    undefined,
    { guards: true, interceptors: true, filters: false },
    CONTEXT_TYPE,
  ) as (...args: unknown[]) => Promise<unknown>;

  const failures = new WeakMap<EventContext, { readonly error: unknown }>();
  const remembering = async (event: unknown, context: unknown): Promise<unknown> => {
    try {
      return await call(event, context);
    } catch (error) {
      failures.set(context as EventContext, { error });
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
    CONTEXT_TYPE,
  ) as (...args: unknown[]) => Promise<unknown>;

  return async (event, context) => {
    const result = await filtered(event, context);
    const failure = failures.get(context);
    if (failure) throw failure.error;
    return result;
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
