import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import { Access, type Visitor } from './access';
import type { Session } from './api';
import { VERSION } from './version';
import { Sources } from './sources';

/** Who looks, and at what. */
@Injectable()
export class SessionAnswers {
  constructor(
    private readonly access: Access,
    private readonly sources: Sources,
    private readonly modules: ModuleRef,
  ) {}

  session(visitor: Visitor): Session {
    const { service } = this.modules.get<ResolvedOptions>(RESOLVED_OPTIONS, { strict: false });
    return {
      ...visitor,
      csrf: this.access.csrfOf(visitor),
      service,
      version: VERSION,
      sources: this.sources.all.map(({ name, database, isOwn }) => ({ name, database, isOwn })),
    };
  }
}
