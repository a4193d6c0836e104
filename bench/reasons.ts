/** Why a goal is missed, by the figure's name: said on the page of benchmarks, in one or two sentences. */
export const REASONS: Readonly<Record<string, string>> = {};
