/** Questions to the REST API, with the login of the page. */

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** The most that the API gives at once. */
const LONGEST_PAGE = 5000;

type Query = Record<string, string | number | string[] | undefined>;

/** Address below Airflow's own base, which may have a path in front. */
export function address(path: string, query: Query = {}, base: string = document.baseURI): string {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== "") url.searchParams.append(name, String(one));
    }
  }
  return url.href;
}

export function api(path: string, query: Query = {}): string {
  return address(`bay/api/v1/${path}`, query);
}

export async function ask<Answer>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Answer> {
  return read<Answer>(await fetch(api(path, query), { credentials: "same-origin", ...(signal && { signal }) }));
}

/** All pages of an answer, one after the other: the items of each. */
export async function askAll<Page extends { next_cursor: string | null }, Item>(
  path: string,
  query: Query,
  items: (page: Page) => Item[],
  signal?: AbortSignal,
): Promise<Item[]> {
  const found: Item[] = [];
  let cursor: string | null = null;
  do {
    const page: Page = await ask<Page>(path, { ...query, limit: LONGEST_PAGE, cursor: cursor ?? undefined }, signal);
    found.push(...items(page));
    cursor = page.next_cursor;
  } while (cursor !== null);
  return found;
}

export async function send<Answer>(path: string, body: unknown): Promise<Answer> {
  return post<Answer>(api(path), body);
}

/** Airflow's own API, for what a run or a task instance says of itself. */
export async function askAirflow<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
  const url = address(`api/v2/${path}`);
  return read<Answer>(await fetch(url, { credentials: "same-origin", ...(signal && { signal }) }));
}

export async function sendAirflow<Answer>(path: string, body: unknown): Promise<Answer> {
  return post<Answer>(address(`api/v2/${path}`), body);
}

async function post<Answer>(url: string, body: unknown): Promise<Answer> {
  return read<Answer>(
    await fetch(url, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
}

async function read<Answer>(response: Response): Promise<Answer> {
  if (response.ok) return (await response.json()) as Answer;
  const detail = await response.json().then(
    (body: { detail?: unknown }) => (typeof body.detail === "string" ? body.detail : ""),
    () => "",
  );
  throw new ApiError(response.status, detail || `${response.status} ${response.statusText}`);
}
