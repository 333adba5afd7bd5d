import { expect, test } from "vitest";

import { signed } from "../src/HealthPage";

test.each([
  [-0.2, 0, "0"],
  [0.2, 0, "0"],
  [-1.6, 0, "-2"],
  [1.6, 0, "+2"],
  [-0.004, 2, "0.00"],
])("%d with %d digits is %s", (value, digits, text) => {
  expect(signed(value, digits)).toBe(text);
});
