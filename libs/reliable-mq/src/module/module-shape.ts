/** Which halves of the module an application registers, and on which DataSources. */
export interface ModuleShape {
  readonly dataSources: readonly string[];
  readonly producer: boolean;
  readonly consumer: boolean;
}
