import { Inject, Injectable, Optional } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { CompensationExplorer } from './compensation.explorer';
import { discoverMethods } from './decorated-methods';
import { HandlerExplorer } from './handler.explorer';
import { RecordedEventsExplorer } from './recorded-events.explorer';
import { RepositoriesExplorer } from './repositories.explorer';

/** Reads the application: who takes part in transactions, records, handles and compensates. */
@Injectable()
export class ApplicationExplorer {
  private readonly seen = new WeakSet<object>();

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly repositories: RepositoriesExplorer,
    private readonly recorded: RecordedEventsExplorer,
    @Optional() @Inject(HandlerExplorer) private readonly handlers?: HandlerExplorer,
    @Optional() @Inject(CompensationExplorer) private readonly compensations?: CompensationExplorer,
  ) {}

  /**
   * Reads what has not been read before: again when a module was loaded later.
   * @returns what is wrong with the application's decorators, each a full sentence
   */
  explore(): readonly string[] {
    this.repositories.explore();
    const methods = discoverMethods(this.discovery, this.scanner, this.seen);
    return [
      ...this.recorded.explore(methods),
      ...(this.handlers?.explore(methods) ?? []),
      ...(this.compensations?.explore(methods) ?? []),
    ];
  }
}
