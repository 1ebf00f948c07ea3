/* steps_classic.h -- the steps of seeds 000 and 003: the one list behind screen, JSON and docs.
 *
 * id, who writes it (or LOCAL: each end for itself), name, what the wire calls it, what is known
 * once it has been accepted. In seed 003 the steps behind the first belong to the first text each
 * way. */
#ifndef COMMON_LINK_STEPS_CLASSIC_H
#define COMMON_LINK_STEPS_CLASSIC_H

#define STEPS_CLASSIC(X)                                                                           \
    X(RSA_HELLO, true, false, "hello", "hello", "somebody is there")                               \
    X(RSA_PUBKEY, false, false, "pubkey", "pubkey",                                                \
      "a number that anybody in the middle may have put in place of the relay's")                  \
    X(RSA_KEY, true, false, "key", "key",                                                          \
      "a key is shared with whoever made that number; nobody is proven")                           \
    X(RSA_OK, false, false, "ok", "ok", "somebody answers; the key is not confirmed")

#define STEPS_CLASSIC_FILE(X)                                                                      \
    X(FILE_KEY, false, true, "session key", "",                                                    \
      "both read a file, it is hoped the same one; nobody is proven")                              \
    X(FILE_ENCRYPT, false, true, "encrypt", "", "hidden from who lacks the file")                  \
    X(FILE_MAC, false, true, "MAC", "", "will show a change; not order, not repetition")           \
    X(FILE_SEND, true, false, "send", "msg", "nothing: it may be kept back, or sent again")        \
    X(FILE_VERIFY, false, true, "verify MAC", "",                                                  \
      "somebody with the file wrote this, some time, to somebody")                                 \
    X(FILE_DECRYPT, false, true, "decrypt", "", "nothing more: who wrote it is not known")         \
    X(FILE_SHOW, false, true, "show", "", "nothing more: " LINK_CLASSIC_MARK)

#endif
