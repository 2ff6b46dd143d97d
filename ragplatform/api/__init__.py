"""The REST interface: authentication, schemas, routes, problem details."""
