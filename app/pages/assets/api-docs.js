// Shows the description of the JSON API with Swagger UI, which this page has loaded.
import { csrf } from "./page.js";

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger",
  deepLinking: true,
  requestInterceptor: (request) => {
    if (new URL(request.url, location.href).origin === location.origin) request.headers["X-CSRF-Token"] = csrf();
    return request;
  },
});
