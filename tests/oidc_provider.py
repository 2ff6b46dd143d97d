"""An OpenID provider as a process of its own: oidc-provider-mock, with access tokens of Authlib.

The package's provider answers discovery, authorisation and token requests; its access tokens are
opaque, so Authlib's generator of RFC 9068 tokens takes their place. ``POST /rotate`` makes a new
key that signs from now on; ``POST /retire`` takes the old ones off the key set; ``POST /sign``
signs any claims with any header, for what a sound provider would never issue.
"""

import json
import sys
import time

import flask
import oidc_provider_mock
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc import jws
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

AUDIENCE = "ragplatform"


class Signer:
    """The provider's keys; the last one signs."""

    def __init__(self) -> None:
        self.keys: list[RSAKey] = []
        self.rotate()

    def rotate(self) -> None:
        kid = f"key-{len(self.keys) + 1}-{time.time_ns()}"
        self.keys.append(RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}))

    def retire(self) -> None:
        del self.keys[:-1]


class Person(oidc_provider_mock.User):
    """A user of the package's, in the form that Authlib asks for."""

    def get_user_id(self) -> str:
        return self.sub


class AccessTokens(JWTBearerTokenGenerator):
    """Access tokens for our service, with the user's claims."""

    def __init__(self, issuer: str, signer: Signer) -> None:
        super().__init__(issuer, expires_generator=lambda client, grant_type: 600)
        self._signer = signer

    def get_jwks(self):
        return KeySet([self._signer.keys[-1]])

    def get_audiences(self, client, user, scope):
        return [AUDIENCE, client.get_client_id()]

    def get_extra_claims(self, client, grant_type, user, scope):
        return dict(user.claims)


def make_app(issuer, users):
    application = oidc_provider_mock.app(
        user_claims=[Person(sub=sub, claims=claims) for sub, claims in users.items()]
    )
    signer = Signer()

    @application.before_request
    def sign_access_tokens():
        server = flask.g._authlib_authorization_server
        server.register_token_generator("default", AccessTokens(issuer, signer))

    application.view_functions["oidc-provider-mock.jwks"] = lambda: KeySet(signer.keys).as_dict()

    @application.post("/rotate")
    def rotate():
        signer.rotate()
        return {"kid": signer.keys[-1].kid}

    @application.post("/retire")
    def retire():
        signer.retire()
        return {}

    @application.post("/sign")
    def sign():
        asked = flask.request.get_json()
        header = {"alg": "RS256", "kid": signer.keys[-1].kid, **asked["header"]}
        registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
        content = json.dumps(asked["claims"])
        return {"token": jws.serialize_compact(header, content, signer.keys[-1], registry=registry)}

    return application


def main():
    users = json.loads(sys.argv[1])
    # The port is free once the socket is bound, so the issuer is known before the first request.
    server = make_server("127.0.0.1", 0, lambda environ, start: None, threaded=True)
    issuer = f"http://127.0.0.1:{server.server_port}"
    server.app = make_app(issuer, users)
    print(issuer, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
