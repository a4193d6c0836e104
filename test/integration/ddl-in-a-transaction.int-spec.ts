import { Recording, noteWritten } from './record-harness';

describe('a table that is created inside a transaction of MariaDB, which commits it', () => {
  let recording: Recording;

  beforeAll(async () => {
    recording = await Recording.start({ database: 'mariadb' });
  });
  afterAll(() => recording.dispose());

  it('is told to the caller; what the database has kept is what is published', async () => {
    const result = recording.events.transaction(async () => {
      await recording.app.dataSource.query('CREATE TABLE made_inside (id int)');
      await recording.events.record(noteWritten('behind'));
    });
    await expect(result).rejects.toThrow();
    expect(await recording.published()).toEqual(await recording.stored());
  });
});
