"""The credential server of cloud_mdir_sync, for one account that has its token. What it imports for its sign-ins is not
needed for that, and stands in as empty modules.
ancestor.py CHECKOUT SOCKET USER TOKEN_BYTES
"""

import asyncio
import logging
import sys
import types

checkout, path, user, token_bytes = sys.argv[1:]
sys.path.insert(0, checkout)
for name, member in (("config", "Config"), ("oauth", "Account")):
    module = types.ModuleType(f"cloud_mdir_sync.{name}")
    setattr(module, member, object)
    sys.modules[module.__name__] = module

from cloud_mdir_sync import credsrv  # noqa: E402


class Account:
    def __init__(self):
        self.user = user
        self.protocols = set()
        self.answer = f"user={user}\1auth=Bearer {'a' * int(token_bytes)}\1\1".encode()

    async def get_xoauth2_bytes(self, _protocol):
        return self.answer


async def main():
    settings = types.SimpleNamespace(logger=logging.getLogger())
    await credsrv.CredentialServer(settings, path, [Account()], 0o600, {"SMTP"}).go()
    await asyncio.Event().wait()


asyncio.run(main())
