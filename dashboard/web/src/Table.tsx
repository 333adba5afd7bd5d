import type { ReactNode } from "react";

interface Props {
  name: string;
  columns: readonly string[];
  rows: readonly (readonly ReactNode[])[];
}

/** A table that scrolls on its own where it is too wide, also by keys. On a phone each row is a list of its own. */
export function Table({ name, columns, rows }: Props): ReactNode {
  return (
    <div className="bay-scroll" tabIndex={0} role="region" aria-label={name}>
      <table className="bay-table bay-stacked">
        <caption className="bay-hidden">{name}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column} data-label={columns[column]} className={cell === "–" ? "bay-none" : undefined}>
                  <div>{cell}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
