/* steps_cianr.h -- the control plane of seed 002: the one list behind wire, screen, JSON and docs.
 *
 * FRAME: id, who writes it, stage, bytes at most, name, what the wire calls it, what is known once
 * it has been accepted, prefix of its functions. LOCAL: computed by both, nothing goes. */
#ifndef COMMON_LINK_STEPS_CIANR_H
#define COMMON_LINK_STEPS_CIANR_H

#define STEPS_CIANR(FRAME, LOCAL)                                                                  \
    FRAME(HELLO, ROLE_CLIENT, 0, CIANR_HELLO_MAX, "hello", "hello(1)",                             \
          "a certificate is in order; nobody has proven to own it", hello)                         \
    FRAME(SERVER_HELLO, ROLE_RELAY, 0, CIANR_HELLO_MAX, "server_hello", "server_hello(2)",         \
          "the relay's certificate is in order; nobody has proven to own it", server_hello)        \
    FRAME(DH_CLIENT, ROLE_CLIENT, 0, CIANR_DH_MAX, "dh_client", "dh_client(3)",                    \
          "a key is offered; nobody is proven", dh_client)                                         \
    FRAME(DH_SERVER, ROLE_RELAY, 0, CIANR_DH_MAX + CIANR_SIG_MAX, "dh_server", "dh_server(4)",     \
          "the relay has its certificate's key and saw all of the above", dh_server)               \
    LOCAL(TEMPORARY_KEY, "temporary key", "a secret with the relay alone; from here on sealed",    \
          temporary_key)                                                                           \
    FRAME(CREDENTIALS, ROLE_CLIENT, 1, CIANR_SIG_MAX, "register or login", "register or login(6)", \
          "the client has its certificate's key, or comes to get one", credentials)                \
    FRAME(SESSION_CLIENT, ROLE_CLIENT, 1, CIANR_DH_MAX, "session dh_client", "dh_client(7)",       \
          "a second key is offered, seen by the relay alone", session_client)                      \
    FRAME(SESSION_SERVER, ROLE_RELAY, 1, CIANR_DH_MAX, "session dh_server", "dh_server(8)",        \
          "the relay can read the first key, and took the client's signature", session_server)     \
    LOCAL(SESSION_KEY, "session key", "keys made of both secrets and all before", session_key)     \
    FRAME(CLIENT_FINISHED, ROLE_CLIENT, 2, CIANR_SIG_MAX, "client finished", "finished(10)",       \
          "the client has the session key and signs that it saw the same, or comes to get one",    \
          finished)                                                                                \
    FRAME(SERVER_FINISHED, ROLE_RELAY, 2, CIANR_SIG_MAX, "server finished", "finished(11)",        \
          "the relay has the session key, signs the same, and lets the client in", finished)

#endif
