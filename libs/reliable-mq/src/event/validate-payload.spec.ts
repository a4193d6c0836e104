import { Type } from 'class-transformer';
import { IsDate, IsInt, IsString, MinLength, Validate, ValidateNested, ValidatorConstraint } from 'class-validator';
import { validatePayload } from './validate-payload';

class Line {
  @IsInt() quantity!: number;
}

class Order {
  @IsString() @MinLength(2) id!: string;
  @ValidateNested({ each: true }) @Type(() => Line) lines!: Line[];
}

class Demanding {
  readonly id: string;
  constructor(source: { id: string }) {
    this.id = source.id;
  }
}

class Free {
  anything?: unknown;
}

@ValidatorConstraint({ async: true })
class Rejecting {
  validate(): Promise<boolean> {
    return Promise.reject(new Error('the registry is away'));
  }
}

@ValidatorConstraint()
class Throwing {
  validate(): boolean {
    throw new TypeError('no text to look at');
  }
}

class Fragile {
  @Validate(Rejecting) first!: string;
  @Validate(Throwing) second!: string;
}

class Dated {
  @IsDate() at!: Date;
}

describe('validatePayload', () => {
  it('makes an instance, nested ones too', async () => {
    const result = await validatePayload(Order, { id: 'ab', lines: [{ quantity: 1 }] });
    if ('invalid' in result) throw new Error('refused');
    expect(result.instance).toBeInstanceOf(Order);
    expect(result.instance.lines[0]).toBeInstanceOf(Line);
  });

  it('names each refused property by its path, with each problem', async () => {
    expect(await validatePayload(Order, { id: 1, lines: [{ quantity: 1 }, { quantity: 'x' }] })).toEqual({
      invalid: [
        {
          property: 'id',
          problems: expect.arrayContaining([
            'id must be a string',
            'id must be longer than or equal to 2 characters',
          ]) as unknown,
        },
        { property: 'lines[1].quantity', problems: ['quantity must be an integer number'] },
      ],
    });
  });

  it.each([
    [null, 'null'],
    [[], 'an array'],
    ['a', 'string'],
    [1, 'number'],
    [undefined, 'undefined'],
  ])('takes objects only, not %j', async (payload, got) => {
    expect(await validatePayload(Free, payload)).toEqual({
      invalid: [{ property: '(payload)', problems: [`must be an object, got ${got}`] }],
    });
  });

  it('leaves no rejection behind when a rule throws at once after an asynchronous one has begun', async () => {
    const unhandled: unknown[] = [];
    const listener = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', listener);
    try {
      expect(() => validatePayload(Fragile, { first: 'a', second: 'b' })).toThrow('no text to look at');
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', listener);
    }
  });

  it('says what a date is missing', async () => {
    expect(await validatePayload(Dated, { at: new Date(0).toJSON() })).toEqual({
      invalid: [
        { property: 'at', problems: ['at must be a Date instance (JSON has no dates: add @Type(() => Date))'] },
      ],
    });
  });

  it('allows what no decorator speaks of', async () => {
    expect(await validatePayload(Free, { other: 1 })).toEqual({ instance: { other: 1 } });
  });

  it('says what is wrong with a class that cannot be made from its JSON', async () => {
    const result = await validatePayload(Demanding, { id: 'a' });
    expect(result).toMatchObject({ invalid: [{ property: '(payload)' }] });
    expect(JSON.stringify(result)).toContain('Demanding, whose constructor must work without arguments: TypeError');
  });

  it('does not let a payload reach prototypes', async () => {
    const payload: unknown = JSON.parse(
      '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}',
    );
    const result = await validatePayload(Free, payload);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect((result as { instance: { polluted?: number } }).instance.polluted).toBeUndefined();
  });
});
