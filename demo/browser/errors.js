/** An error whose message is written for the visitor: what is wrong, and what to do. */
export class PageError extends Error {}

/** Return the message to show of any error. */
export function messageOf(error) {
  return error instanceof PageError ? error.message : `Unexpected error: ${error?.message ?? error}`;
}

/** Return a name in quotation marks, shortened. */
export function quote(name) {
  return `“${name.length > 60 ? `${name.slice(0, 59)}…` : name}”`;
}
