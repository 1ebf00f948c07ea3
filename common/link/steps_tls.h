/* steps_tls.h -- the steps of a TLS 1.3 handshake: the one list behind the screen, JSON and docs.
 *
 * message of tls.h, what the wire calls it (RFC 8446 4), who writes it, name, what is known once it
 * has been accepted. In the order of the protocol; a retry and, when joining, the client's
 * certificate may be absent. */
#ifndef COMMON_LINK_STEPS_TLS_H
#define COMMON_LINK_STEPS_TLS_H

#define STEPS_TLS(X)                                                                               \
    X(CLIENT_HELLO, "client_hello(1)", ROLE_CLIENT, "ClientHello",                                 \
      "keys and suites are offered; nobody is proven")                                             \
    X(RETRY_REQUEST, "server_hello(2)", ROLE_RELAY, "HelloRetryRequest",                           \
      "another group is asked for; nobody is proven")                                              \
    X(CLIENT_HELLO_2, "client_hello(1)", ROLE_CLIENT, "ClientHello",                               \
      "the group asked for is offered; nobody is proven")                                          \
    X(SERVER_HELLO, "server_hello(2)", ROLE_RELAY, "ServerHello",                                  \
      "a secret is agreed, nobody is proven yet")                                                  \
    X(ENCRYPTED_EXTENSIONS, "encrypted_extensions(8)", ROLE_RELAY, "EncryptedExtensions",          \
      "all from here on is encrypted; nobody is proven")                                           \
    X(CERTIFICATE_REQUEST, "certificate_request(13)", ROLE_RELAY, "CertificateRequest",            \
      "the relay demands the client's certificate too")                                            \
    X(SERVER_CERTIFICATE, "certificate(11)", ROLE_RELAY, "Certificate",                            \
      "a relay's valid certificate; anybody could show it")                                        \
    X(SERVER_VERIFY, "certificate_verify(15)", ROLE_RELAY, "CertificateVerify",                    \
      "the relay has that certificate's key")                                                      \
    X(SERVER_FINISHED, "finished(20)", ROLE_RELAY, "Finished",                                     \
      "nothing was altered so far; the relay is proven")                                           \
    X(CLIENT_CERTIFICATE, "certificate(11)", ROLE_CLIENT, "Certificate",                           \
      "the client names itself; anybody could show it")                                            \
    X(CLIENT_VERIFY, "certificate_verify(15)", ROLE_CLIENT, "CertificateVerify",                   \
      "the client has that certificate's key")                                                     \
    X(CLIENT_FINISHED, "finished(20)", ROLE_CLIENT, "Finished", "both saw the same handshake")     \
    X(FIRST_DATA, "application_data", ROLE_RELAY, "Verdict", "the relay lets the client in")

#endif
