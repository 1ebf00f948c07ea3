/* steps_ecdhe.h -- the six steps of seed 001: the one list behind wire, screen, JSON and docs.
 *
 * FRAME: id, who writes it, stage, bytes at most, name, what the wire calls it, what is known once
 * it has been accepted, prefix of its functions. LOCAL: computed by both, nothing goes. */
#ifndef COMMON_LINK_STEPS_ECDHE_H
#define COMMON_LINK_STEPS_ECDHE_H

#define STEPS_ECDHE(FRAME, LOCAL)                                                                  \
    FRAME(CLIENT_HELLO, ROLE_CLIENT, 0, ECDHE_HELLO_MAX, "ClientHello", "client_hello(1)",         \
          "a key and suites are offered; nobody is proven", client_hello)                          \
    FRAME(SERVER_HELLO, ROLE_RELAY, 0, ECDHE_PROOF_MAX, "ServerHello", "server_hello(2)",          \
          "the relay has its certificate's key and saw our offer; nothing is hidden yet",          \
          server_hello)                                                                            \
    LOCAL(ECDHE, "ECDHE", "a secret is shared with whoever drew the other key", shared_secret)     \
    LOCAL(HKDF, "HKDF", "keys of this connection alone, made of all before; from here on sealed",  \
          session_key)                                                                             \
    FRAME(CLIENT_FINISHED, ROLE_CLIENT, 1, ECDHE_PROOF_MAX, "Client Finished",                     \
          "client_finished(5)",                                                                    \
          "the client has its certificate's key, or comes to get one; both saw the same",          \
          client_finished)                                                                         \
    FRAME(SERVER_FINISHED, ROLE_RELAY, 1, ECDHE_MAC_MAX, "Server Finished", "server_finished(6)",  \
          "the relay has the same keys, and lets the client in", server_finished)

#endif
