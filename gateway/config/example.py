"""The settings that `vitale-gateway init` writes: they load as they are, and say each key in one line."""

from __future__ import annotations


def example_config() -> str:
    """A settings file that loads as it is: what `vitale-gateway init` writes."""
    return _EXAMPLE


_EXAMPLE = """\
# Settings of vitale-gateway. Paths are relative to the folder of this file.

[practice]
id = "cabinet"                        # a short name, never a person's name
address = "cabinet@practice.test"     # lots leave under this address, returns come to it
zone = "metropole"                    # metropole, antilles, guyane_reunion or mayotte (holidays: README)
optam = false                         # the practice has signed the OPTAM contract
certificate = "keys/cabinet.cert.pem" # returns are encrypted to this certificate
key = "keys/cabinet.key.pem"          # and opened with this key
# practitioners = ["810000000000"]    # only these CPS may bill here (8 and the RPPS number)
# certificate and key may be lists, ["OLD", "NEW"]: returns open with each while two of them overlap.
# For several practices write [[practice]] instead of [practice], once for each: every one has a folder of its
# own (its id) in the directories of [mailbox], [inbox] and [paper].

[reader]                              # without it the gateway sends and collects only
driver = "emulated"
slots = ["cards/vitale.card", "cards/cps.card"]   # the Vitale slot, then the CPS slot
# driver = "pcsc"                     # real readers: part of the name of one reader for both cards,
# slots = ["Gemalto"]                 # or of two (vitale-reader list shows the names)
# alone = true                        # no other program may use a card that the gateway has a session with
# driver = "agent"                    # a reader on another machine, lent by its agent ([agents] below):
# slots = ["desk-1"]                  # the name under which vitale-gateway agent enrol knows it
# name = "desk-1"                     # what it is called; readers of several practices: [[reader]], each with
# practice = "cabinet"                # its name and the id of its practice

[receiver]
host = "127.0.0.1"                    # the mail relay
port = 2525                           # and its port
allow_remote = false                  # true: the relay may be another machine
policy = "modern"                     # modern or sesam, whichever the receiver speaks
certificate = "trust/receiver.cert.pem" # lots are encrypted to it; of a list, to the newest in force
# sends = false                       # another gateway of the same store sends and collects

[trust]
directory = "trust"                   # roots, authorities and revocation lists
opposition = "opposition.txt"         # the list of opposed cards
# opposition_source = "http://127.0.0.1:8430"   # asked for newer lists; else another program brings them
# opposition_minutes = 10             # how often
# opposition_remote = true            # it may be another machine

[store]
url = "sqlite:///var/gateway.db"      # or postgresql://USER@HOST/DATABASE, which several gateways share
retention_days = 90                   # doubles and receipts; the law asks for 90 or more
# key = "var/store.key"               # encrypts the content: a file, or keyring:NAME (SQLite: FILE.key)
# owner = "gateway-1"                 # PostgreSQL: the name of this gateway among those that share the store
# password_file = "keys/database"     # PostgreSQL: its password, when neither the url nor PGPASSFILE has it

[mailbox]
directory = "var/mailbox"             # a maildir: receipts and payment returns arrive here

[inbox]
directory = "var/inbox"               # practice software drops care acts here

[paper]
directory = "var/paper"               # paper twins of sheets made without a Vitale, for the insured person

[lots]
after_minutes = 30                    # how long a sheet waits for company in its lot

# [api]                               # practice software over HTTP, see gateway/api/README.md
# port = 8420                         # on this machine; address = "127.0.0.1" is the default
# tokens = "var/tokens.json"          # digests only: vitale-gateway token new NAME adds one
# session_minutes = 720               # how long one PIN is good
# session_sheets = 250                # and for how many sheets

# [page]                              # what a practice looks at, at the port of the API
# enabled = true                      # false: no page
# hosts = ["cabinet.example"]         # the names of a TLS proxy before it, if there is one
# language = "fr"                     # fr or en, until a person chooses

# [agents]                            # reader agents of practices arrive here, see gateway/agent/README.md
# address = "127.0.0.1"               # where to listen: agents reach this address over the network
# port = 8430                         # TLS 1.3 with certificates on both ends
# certificate = "agents/gateway.cert.pem" # made by the first vitale-gateway agent enrol, as these two
# key = "agents/gateway.key.pem"
# authority = "agents/authority.cert.pem"

# [log]
# level = "info"                      # debug, info, warning or error
# format = "plain"                    # plain, text (time, level, ids) or json, one object a line
# file = "var/gateway.log"            # instead of standard output
"""
