/* commands.h -- the one table of what can be typed behind a slash: /help, completion and the manual
 * are made from it, and nothing that is not in it is ever run or sent. */
#ifndef CLIENT_CORE_COMMANDS_H
#define CLIENT_CORE_COMMANDS_H

#include <stdbool.h>

#include "common/util/bytes.h"

/* What must be so before a command makes sense. */
enum {
    NEED_ONLINE = 1, /* logged in */
    NEED_ROOM = 2,   /* the window is a room or a person */
    NEED_ARG = 4,    /* there is an argument */
    NEED_NAME = 8,   /* an account: guests of `classic` have none */
};

/* In order of name; a test checks that. */
#define COMMANDS(X)                                                                                \
    X(ACCEPT, "accept", "NAME", "take a member's new certificate without comparing it",            \
      NEED_NAME | NEED_ARG)                                                                        \
    X(CLEAR, "clear", "", "empty this window; nothing is deleted", 0)                              \
    X(CONNECT, "connect", "", "connect now", 0)                                                    \
    X(CREATE, "create", "ROOM [private history ephemeral]",                                        \
      "make a room; private: by invitation; history: newcomers read all of it; "                   \
      "ephemeral: never on the relay's disk",                                                      \
      NEED_NAME | NEED_ONLINE | NEED_ARG)                                                          \
    X(DISCONNECT, "disconnect", "", "end the connection and stay offline", 0)                      \
    X(HELP, "help", "[COMMAND]", "commands and keys", 0)                                           \
    X(HS, "hs", "", "the handshake, step by step (F4)", 0)                                         \
    X(INSPECT, "inspect", "[NAME]", "certificates of a person (F2)", NEED_NAME)                    \
    X(INVITE, "invite", "NAME", "let somebody into this private room",                             \
      NEED_NAME | NEED_ONLINE | NEED_ROOM | NEED_ARG)                                              \
    X(JOIN, "join", "ROOM", "enter a room", NEED_NAME | NEED_ONLINE | NEED_ARG)                    \
    X(LEAVE, "leave", "", "leave this room", NEED_NAME | NEED_ONLINE | NEED_ROOM)                  \
    X(LIST, "list", "", "rooms of this relay", NEED_NAME | NEED_ONLINE)                            \
    X(ME, "me", "", "own account, devices and fingerprints", NEED_NAME)                            \
    X(MSG, "msg", "NAME [TEXT]", "write to one person", NEED_NAME | NEED_ARG)                      \
    X(NAMES, "names", "", "who is in this room", NEED_NAME | NEED_ROOM)                            \
    X(QUIT, "quit", "", "leave the program", 0)                                                    \
    X(REKEY, "rekey", "", "new keys for this connection, both ways", NEED_ONLINE)                  \
    X(RETRY, "retry", "", "connect and send again what waits", 0)                                  \
    X(SEAL, "seal", "", "receipts of what was said in this session, sealed by the relay too",      \
      NEED_NAME)                                                                                   \
    X(STATUS, "status", "", "connection, queue and alarms; marks alarms as seen", 0)               \
    X(TOPIC, "topic", "[TEXT]", "show or set the topic of this room", NEED_NAME | NEED_ROOM)       \
    X(TRANSCRIPT, "transcript", "[export FILE [N,...]]",                                           \
      "what is signed here, checked again (F8); export: for others, provable, without the "        \
      "texts of messages N",                                                                       \
      NEED_NAME | NEED_ROOM)                                                                       \
    X(VERIFY, "verify", "NAME FINGERPRINT", "compare a fingerprint you got elsewhere",             \
      NEED_NAME | NEED_ARG)                                                                        \
    X(W, "w", "N|NAME", "go to a window (M-1 to M-9, M-a)", NEED_ARG)                              \
    X(WHY, "why", "[N]", "what is known about message N, or the last failed one",                  \
      NEED_NAME | NEED_ROOM)

#define X(id, name, args, help, need) CMD_##id,
enum command_id { COMMANDS(X) CMD_COUNT };
#undef X

struct command {
    enum command_id id;
    const char *name, *args, *help;
    unsigned need;
};

const struct command *command_table(size_t *n);

/* What a line means. */
struct command_line {
    enum { LINE_TEXT, LINE_COMMAND, LINE_ERROR } kind;
    const struct command *cmd;
    struct str rest; /* the text, or the command's arguments without spaces around them */
    char error[240]; /* one sentence and what to do instead; cleaned by err's rules */
};

/* pasted: the first word came out of a paste; such a line never runs. have: which of NEED_ROOM and
 * NEED_ONLINE are met. */
void command_read(struct str line, bool pasted, unsigned have, struct command_line *out);

/* The next command at or behind *at whose name begins with `start`; NULL when there is none. */
const struct command *command_next(struct str start, size_t *at);

#endif
