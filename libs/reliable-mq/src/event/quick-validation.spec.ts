import {
  IsInt,
  IsOptional,
  IsString,
  IsUUID,
  Min,
  MinLength,
  registerDecorator,
  Validate,
  ValidateIf,
  ValidateNested,
  ValidatorConstraint,
} from 'class-validator';
import { passesQuickly } from './quick-validation';

const UUID = '01900000-0000-7000-8000-000000000001';

class Plain {
  @IsUUID() id!: string;
  @IsInt() @Min(1) quantity!: number;
}

class WithConditions {
  @IsOptional() @IsString() note?: string | null;
  @ValidateIf(({ kind }: WithConditions) => kind === 'gift') @IsString() @MinLength(2) card?: string;
  @IsString() kind!: string;
}

class Child extends Plain {
  @IsString() more!: string;
}

@ValidatorConstraint({ async: true })
class Slow {
  validate(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

@ValidatorConstraint()
class SecretlySlow {
  validate(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

class WithPromise {
  @Validate(Slow) id!: string;
}

class WithUndeclaredPromise {
  @Validate(SecretlySlow) id!: string;
}

@ValidatorConstraint()
class SecretlyFailing {
  static readonly asked: unknown[] = [];

  validate(value: unknown): Promise<boolean> {
    SecretlyFailing.asked.push(value);
    return Promise.reject(new Error('away'));
  }
}

class WithUndeclaredRejection {
  @Validate(SecretlyFailing) id!: string;
}

class WithNested {
  @ValidateNested() child!: Plain;
}

class WithEach {
  @IsString({ each: true }) names!: string[];
}

class WithGroups {
  @IsString({ groups: ['other'] }) id!: string;
}

class Free {}

function usesArguments(target: object, propertyName: string): void {
  registerDecorator({
    name: 'largerThan',
    target: target.constructor,
    propertyName,
    constraints: [5],
    validator: {
      validate: (value, given) =>
        given?.object instanceof WithArguments && given.property === 'size' && value === given.constraints[0],
    },
  });
}

class WithArguments {
  @usesArguments size!: number;
}

const pass = (eventClass: new () => object, values: object): boolean =>
  passesQuickly(eventClass, Object.assign(new eventClass(), values));

describe('passesQuickly', () => {
  it.each([
    ['what meets every rule', Plain, { id: UUID, quantity: 1 }, true],
    ['what breaks one', Plain, { id: UUID, quantity: 0 }, false],
    ['what is missing', Plain, { id: UUID }, false],
    ['optional and absent', WithConditions, { kind: 'a' }, true],
    ['optional and null', WithConditions, { kind: 'a', note: null }, true],
    ['optional and wrong', WithConditions, { kind: 'a', note: 5 }, false],
    ['a condition that does not hold', WithConditions, { kind: 'a', card: 1 }, true],
    ['a condition that holds, met', WithConditions, { kind: 'gift', card: 'ab' }, true],
    ['a condition that holds, broken', WithConditions, { kind: 'gift', card: 'a' }, false],
    ['inherited rules, met', Child, { id: UUID, quantity: 1, more: 'x' }, true],
    ['inherited rules, broken', Child, { id: 'x', quantity: 1, more: 'x' }, false],
    ['a validator that looks at its arguments', WithArguments, { size: 5 }, true],
    ['the same, broken', WithArguments, { size: 4 }, false],
    ['no rules at all', Free, { anything: 1 }, true],
  ])('knows %s', (_what, eventClass: new () => object, values, expected) => {
    expect(pass(eventClass, values)).toBe(expected);
  });

  it.each([
    ['asynchronous validators', WithPromise, { id: 'x' }],
    ['validators that turn out to be asynchronous', WithUndeclaredPromise, { id: 'x' }],
    ['nested objects', WithNested, { child: { id: UUID, quantity: 1 } }],
    ['rules for each element', WithEach, { names: ['a'] }],
    ['groups', WithGroups, { id: 'x' }],
  ])('leaves %s to class-validator', (_what, eventClass: new () => object, values) => {
    expect(pass(eventClass, values)).toBe(false);
  });

  it('asks a validator that turned out to be asynchronous only once, and needs no answer', async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): number => unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    expect(pass(WithUndeclaredRejection, { id: 'x' })).toBe(false);
    expect(pass(WithUndeclaredRejection, { id: 'y' })).toBe(false);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', onUnhandled);
    expect(SecretlyFailing.asked).toEqual(['x']);
    expect(unhandled).toEqual([]);
  });
});
