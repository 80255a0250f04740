"""Roles of the console and its API, and what opens them."""

from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address

from pydantic import SecretStr

from contracts.values import Value


class Role(StrEnum):
    """Rights of a caller; each includes those before it."""

    READ = "read"
    OPERATE = "operate"
    ADMINISTER = "administer"

    def includes(self, other: "Role") -> bool:
        roles = tuple(Role)
        return roles.index(self) >= roles.index(other)


class Caller(Value):
    """The name in the history of a conversation, and the role."""

    name: str
    role: Role


class Key(Caller):
    """A token of the console and the API."""

    token: SecretStr


class TrustedProxy(Value):
    """A proxy for single sign-on. Only from these networks its headers name the user and, among groups, the role."""

    networks: tuple[IPv4Network | IPv6Network, ...]
    user_header: str
    groups_header: str

    def is_at(self, address: str) -> bool:
        try:
            return any(ip_address(address) in network for network in self.networks)
        except ValueError:
            return False
