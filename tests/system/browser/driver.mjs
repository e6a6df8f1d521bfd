// Drives Chromium for tests in Python: reads one command per line, {"do": NAME, ...}, and answers each with one line.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.env.NODE_MODULES}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});
let page;
let problems = [];

const commands = {
  async open({ width = 1280, height = 900, dark = false, wide = false }) {
    await page?.context().close();
    problems = [];
    const context = await browser.newContext({
      viewport: { width, height }, colorScheme: dark ? "dark" : "light", deviceScaleFactor: wide ? 2 : 1,
      hasTouch: width < 500,
    });
    page = await context.newPage();
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) problems.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
    page.on("requestfailed", (request) => {
      const reason = request.failure()?.errorText ?? "";
      if (!reason.includes("ABORTED")) problems.push(`request: ${request.url()} ${reason}`);
    });
    await page.addInitScript(() => {
      window.violations = [];
      document.addEventListener("securitypolicyviolation", (event) => {
        window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
      });
    });
  },
  async go({ url }) { return (await page.goto(url, { waitUntil: "load" })).status(); },
  async text({ selector = "body" }) { return (await page.locator(selector).allInnerTexts()).join("\n"); },
  async wait({ text, gone = false, seconds = 30 }) {
    const found = page.locator("body").getByText(text, { exact: false }).first();
    await found.waitFor({ state: gone ? "detached" : "visible", timeout: seconds * 1000 });
  },
  async press({ keys }) { for (const key of keys) await page.keyboard.press(key); },
  async type({ text }) { await page.keyboard.type(text); },
  async focused() {
    return page.evaluate(() => {
      const at = document.activeElement;
      return { tag: at.tagName, id: at.id, name: at.getAttribute("name"), text: at.innerText ?? "" };
    });
  },
  // Press Tab until an element has the focus; nothing else may move the focus.
  async reach({ text, selector, most = 80 }) {
    for (let count = 0; count < most; count += 1) {
      await page.keyboard.press("Tab");
      const there = await page.evaluate(
        ({ text, selector }) => {
          const at = document.activeElement;
          return selector ? at.matches(selector) : (at.innerText ?? "").trim() === text;
        },
        { text, selector },
      );
      if (there) return count + 1;
    }
    throw new Error(`no ${text ?? selector} in ${most} steps of Tab`);
  },
  async shot({ path, whole = true }) { await page.screenshot({ path, fullPage: whole }); },
  async problems() { return [...problems, ...(await page.evaluate(() => window.violations))]; },
  async wider() { return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth); },
  async run({ script }) { return page.evaluate(script); },
  async axe() {
    // Through the debugger, because the page's content security policy lets nobody add a script.
    const session = await page.context().newCDPSession(page);
    await session.send("Runtime.evaluate", { expression: axe });
    const found = await session.send("Runtime.evaluate", {
      expression: "axe.run(document).then((all) => JSON.stringify(all.violations))", awaitPromise: true,
    });
    return JSON.parse(found.result.value).map((one) => ({
      id: one.id, impact: one.impact, nodes: one.nodes.map((node) => `${node.html} ${node.failureSummary}`),
    }));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...rest } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ ok: (await commands[name](rest)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.stack ?? error) }));
  }
}
await browser.close();
