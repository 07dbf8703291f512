"""The pages: what people see in a browser, on the same services as the JSON API."""
