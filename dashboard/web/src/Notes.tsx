import type { ReactNode } from "react";

import { ApiError } from "./api";
import type { Translate } from "./i18n";

export function Note({ bad = false, children }: { bad?: boolean; children: ReactNode }): ReactNode {
  return (
    <div className={bad ? "bay-note bay-bad" : "bay-note"} role={bad ? "alert" : "status"}>
      {children}
    </div>
  );
}

export function Failure({ error, again, t }: { error: Error; again: () => void; t: Translate }): ReactNode {
  if (error instanceof ApiError && error.status === 401) return <Note bad>{t("loginAgain")}</Note>;
  return (
    <Note bad>
      {t("failed")} {error.message}{" "}
      <button type="button" onClick={again}>
        {t("retry")}
      </button>
    </Note>
  );
}
