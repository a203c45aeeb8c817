/** Renders openapi.json: each route with its request, its answers, and an example to paste into a shell. */

const SCHEMA = "#/components/schemas/";

const main = document.getElementById("main");
try {
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`openapi.json: ${response.status}`);
  main.append(...render(await response.json()));
} catch (error) {
  main.append(element("p", { role: "alert" }, String(error)));
}

function render(openapi) {
  const asked = Boolean(openapi.components?.securitySchemes);
  const routes = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => renderRoute(path, method, operation, asked)),
  );
  const schemas = Object.entries(openapi.components?.schemas ?? {}).map(([name, schema]) =>
    element("section", { id: name }, element("h2", {}, element("code", {}, name)), renderSchema(schema)),
  );
  return [element("p", {}, openapi.info.description, ` Version ${openapi.info.version}.`), ...routes, ...schemas];
}

function renderRoute(path, method, operation, asked) {
  const name = method.toUpperCase();
  return element(
    "section",
    {},
    element("h2", {}, element("code", { class: "method" }, name), " ", element("code", {}, path)),
    element("p", {}, operation.description ?? ""),
    element("pre", { tabindex: "0" }, element("code", {}, example(path, name, operation, asked))),
    ...Object.entries(operation.requestBody?.content ?? {}).flatMap(([type, { schema }]) => [
      element("h3", {}, "Takes ", element("code", {}, type)),
      renderSchema(schema),
    ]),
    element("h3", {}, "Answers"),
    element("dl", {}, ...Object.entries(operation.responses).flatMap(renderAnswer)),
  );
}

function renderAnswer([status, { description, content = {} }]) {
  const kinds = Object.entries(content).flatMap(([type, { schema }]) => [" ", element("code", {}, type), " ", link(schema)]);
  return [element("dt", {}, status), element("dd", {}, description, ...kinds)];
}

/** A shell command for the server that this page comes from. */
function example(path, name, operation, asked) {
  const token = asked && operation.security?.length !== 0 ? ' -H "Authorization: Bearer $HITOFUDE_TOKEN"' : "";
  const url = new URL(path.slice(1), document.baseURI).href;
  const types = Object.keys(operation.requestBody?.content ?? {});
  if (types.includes("multipart/form-data")) return `curl${token} -F file=@photo.png ${url}`;
  if (types.length > 0) return `curl${token} --json @body.json ${url}`;
  return `curl${token}${name === "GET" ? "" : ` -X ${name}`} ${url}`;
}

function renderSchema(schema) {
  return element("pre", { tabindex: "0" }, element("code", {}, JSON.stringify(schema, shortened, 2)));
}

/** Replace references by their names; leave out titles, which only repeat the names. */
function shortened(key, value) {
  if (key === "title" && typeof value === "string") return undefined;
  return typeof value?.$ref === "string" ? value.$ref.replace(SCHEMA, "") : value;
}

function link(schema) {
  const name = schema?.$ref?.replace(SCHEMA, "");
  return name ? element("a", { href: `#${name}` }, name) : "";
}

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
