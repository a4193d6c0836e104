import { Exclude, Expose, plainToInstance, Transform, Type } from 'class-transformer';
import {
  IsDate,
  IsInt,
  IsISO8601,
  IsOptional,
  IsString,
  MaxLength,
  Min,
  registerDecorator,
  Validate,
  ValidateIf,
  ValidateNested,
  validateSync,
  ValidatorConstraint,
} from 'class-validator';
import type { EventClass } from './event-type';
import { instanceOfFlat } from './flat-payload';

class Order {
  @IsString() @MaxLength(5) id!: string;
  @IsInt() @Min(1) quantity!: number;
  @IsOptional() @IsISO8601() at?: string | null;
  @ValidateIf((order: Order) => order.quantity > 10) @IsString() reason?: string;
}

class Rush extends Order {
  @IsString() courier = 'none';
}

class WithMembers {
  called = 0;
  helper = (): number => 1;
  method(): number {
    return this.called;
  }
  get double(): number {
    return 2;
  }
  set kept(value: number) {
    this.called = value;
  }
}

class Free {}

const ORDERS: readonly object[] = [
  { id: 'a', quantity: 1 },
  { id: 'a', quantity: 1, at: null, reason: undefined },
  { id: 'a', quantity: 1, at: '2026-01-01', other: true },
  { id: 'a', quantity: 1, at: 'yesterday' },
  { id: 'a', quantity: 11, reason: 'many' },
  { id: 'a', quantity: 11 },
  { id: 'too long', quantity: 1 },
  { id: 'a', quantity: 0 },
  { id: 'a', quantity: 1, courier: 5 },
  { id: 'a', quantity: 1, tags: ['x'] },
  {},
];

describe('a flat payload', () => {
  it.each<[EventClass, readonly object[]]>([
    [Order, ORDERS],
    [Rush, ORDERS],
    [Free, [{}, { a: 1, b: null, c: 'x' }]],
    [WithMembers, [{ called: 3 }, { helper: 1 }, { method: 'x' }, { double: 4 }, { kept: 4 }, { toString: 'x' }]],
  ])(
    'becomes what class-transformer and class-validator make of it, or is left to them: %p',
    (eventClass, payloads) => {
      for (const payload of payloads) {
        const expected = plainToInstance(eventClass, payload);
        const isValid = validateSync(expected, { forbidUnknownValues: false }).length === 0;
        const found = instanceOfFlat(eventClass, payload);
        if (found === undefined) continue;
        expect(isValid).toBe(true);
        expect(found).toBeInstanceOf(eventClass);
        // Functions are made anew for each instance.
        expect(JSON.stringify(found)).toBe(JSON.stringify(expected));
      }
      expect(payloads.some((payload) => instanceOfFlat(eventClass, payload) !== undefined)).toBe(true);
    },
  );

  it('is taken without asking them, with optional properties and rules that apply under a condition', () => {
    expect(ORDERS.map((payload) => instanceOfFlat(Order, payload) !== undefined)).toEqual([
      true,
      true,
      true,
      false,
      true,
      false,
      false,
      false,
      true,
      false,
      false,
    ]);
  });

  it('is left to class-transformer when the class, or one that it extends, says anything to it', () => {
    class Dated {
      @Type(() => Date) @IsDate() at!: Date;
    }
    class Derived extends Dated {}
    class Exposing {
      @Expose({ name: 'b' }) a!: string;
    }
    class Hiding {
      @Exclude() a!: string;
    }
    class Changing {
      @Transform(() => 1) a!: string;
    }
    const classes: readonly EventClass[] = [Dated, Derived, Exposing, Hiding, Changing];
    for (const each of classes) expect(instanceOfFlat(each, {})).toBeUndefined();
  });

  it('is left to class-validator when a rule is about members, nested objects, or not known at once', () => {
    class Listing {
      @IsString({ each: true }) tags!: string[];
    }
    class Nesting {
      @ValidateNested() inner?: object;
    }
    @ValidatorConstraint({ async: true })
    class Later {
      validate(): Promise<boolean> {
        return Promise.resolve(true);
      }
    }
    class Asking {
      @Validate(Later) a?: string;
    }
    const classes: readonly EventClass[] = [Listing, Nesting, Asking];
    for (const each of classes) expect(instanceOfFlat(each, {})).toBeUndefined();
  });

  it('is left to class-validator from the first time on that a rule returns a promise unannounced', async () => {
    let calls = 0;
    const asks = (target: object, propertyName: string): void =>
      registerDecorator({
        target: target.constructor,
        propertyName,
        options: {},
        constraints: [],
        validator: {
          validate: () => {
            calls += 1;
            return Promise.reject(new Error('the registry is away'));
          },
        },
      });
    class Asking {
      @asks a?: string;
    }
    expect(instanceOfFlat(Asking, { a: 'x' })).toBeUndefined();
    expect(instanceOfFlat(Asking, { a: 'x' })).toBeUndefined();
    expect(calls).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('throws what a rule throws', () => {
    @ValidatorConstraint()
    class Throwing {
      validate(): boolean {
        throw new TypeError('no text to look at');
      }
    }
    class Fragile {
      @Validate(Throwing) a?: string;
    }
    expect(() => instanceOfFlat(Fragile, {})).toThrow('no text to look at');
  });

  it('is left to class-transformer when the class cannot be made without arguments', () => {
    class Demanding {
      readonly id: string;
      constructor(source: { id: string }) {
        this.id = source.id;
      }
    }
    expect(instanceOfFlat(Demanding, { id: 'a' })).toBeUndefined();
  });
});
