/* steps_sovereign.h -- the thirteen steps of seed 004: the one list behind wire, screen, JSON,
 * docs.
 *
 * id, who writes it, stage, bytes at most, name, what the wire calls it, what is known once it has
 * been accepted, prefix of its functions, and what both sides compute behind it (or NULL). The four
 * from KEY_EXCHANGE1 to KEY_CONFIRM2 come in the order that SEED_CODE draws. */
#ifndef COMMON_LINK_STEPS_SOVEREIGN_H
#define COMMON_LINK_STEPS_SOVEREIGN_H

#define STEPS_SOVEREIGN(X)                                                                         \
    X(CLIENT_HELLO, ROLE_CLIENT, 0, CLIENT_HELLO_LEN, "ClientHello", "client_hello(1)",            \
      "a key is offered; nobody is proven", client_hello, NULL)                                    \
    X(SERVER_HELLO, ROLE_RELAY, 0, FRESH_LEN, "ServerHello", "server_hello(2)",                    \
      "a first secret is shared with somebody; from here on sealed", server_hello, first_keys)     \
    X(SERVER_CERT, ROLE_RELAY, 1, CHAIN_LEN_MAX, "ServerCertSend", "server_cert_send(3)",          \
      "a relay's valid certificate; anybody could show it", cert, NULL)                            \
    X(CERT_REQUEST, ROLE_RELAY, 1, REQUEST_LEN, "ClientCertRequest", "client_cert_request(4)",     \
      "the relay demands the client's certificate too", cert_request, NULL)                        \
    X(CLIENT_CERT, ROLE_CLIENT, 1, CHAIN_LEN_MAX, "ClientCertSend", "client_cert_send(5)",         \
      "the client names itself, or comes to get a name; the relay is not proven yet", cert, NULL)  \
    X(SEED_CODE, ROLE_RELAY, 1, SEED_CODE_LEN, "SeedCode", "seed_code(6)",                         \
      "a third secret, for this client alone; the order of the next four hides nothing",           \
      seed_code, NULL)                                                                             \
    X(KEY_EXCHANGE1, ROLE_RELAY, 1, SHARE_LEN, "KeyExchange1", "key_exchange1(7)",                 \
      "the relay's second key; nobody is proven", key_exchange, second_keys)                       \
    X(KEY_EXCHANGE2, ROLE_CLIENT, 1, SHARE_LEN, "KeyExchange2", "key_exchange2(8)",                \
      "the client's second key; nobody is proven", key_exchange, second_keys)                      \
    X(KEY_CONFIRM1, ROLE_RELAY, 1, CONFIRM_LEN, "KeyConfirm1", "key_confirm1(9)",                  \
      "the relay has the first secret and saw the same so far; nothing of the second",             \
      key_confirm, second_keys)                                                                    \
    X(KEY_CONFIRM2, ROLE_CLIENT, 1, CONFIRM_LEN, "KeyConfirm2", "key_confirm2(10)",                \
      "the client has the first secret and saw the same so far; nothing of the second",            \
      key_confirm, second_keys)                                                                    \
    X(CLIENT_AUTH, ROLE_CLIENT, 2, AUTH_LEN_MAX, "ClientAuth", "client_auth(11)",                  \
      "the client has all three secrets and its certificate's key, or comes to get one", auth,     \
      NULL)                                                                                        \
    X(SERVER_AUTH, ROLE_RELAY, 2, AUTH_LEN_MAX, "ServerAuth", "server_auth(12)",                   \
      "the relay has its certificate's key and all three secrets", auth, nonce_spend)              \
    X(SECURE_ACK, ROLE_RELAY, 2, HASH_LEN, "SecureAck", "secure_ack(13)",                          \
      "both saw the same handshake; the relay lets the client in", secure_ack, NULL)

#endif
