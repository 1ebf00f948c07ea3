/* command.h -- what the command line asks for, and the commands that need no screen. */
#ifndef CLIENT_COMMAND_H
#define CLIENT_COMMAND_H

#include "client/ask.h"
#include "client/client.h"

/* What follows the name of the program, taken apart. Strings live in argv. */
struct call {
    struct client_conf conf;
    const char *command; /* as typed */
    char **args;         /* behind the command, ended by NULL */
    int args_n;
    bool json, follow, no_open, secret, ephemeral, delivered, plain;
    bool local, link_all, mermaid; /* handshake; link_all: --link all */
    const char *since, *until, *redact, *output, *room, *name, *device, *history, *ca, *crl, *svg;
    const char *tsa, *tsa_ca; /* a time-stamp authority: its URL, the CA of its certificate */
    enum link_kind link;      /* what conf.link points to */
    struct hash pin;          /* what conf.pin points to */
    const char *key_file;     /* classic */
    const char *email;        /* join over cianr */
    unsigned rsa_bits;        /* join; 0: 2048 */
    unsigned timeout_s;       /* 0: the command's own */
    bool opened;              /* set by join: the screen is wanted now */
    struct password known;    /* and this is its password; wiped by main */
};

/* Every command: 0, or -1 and e, whose code gives the exit status. */
int command_join(struct call *c, struct err *e) MUST_USE;
int command_send(struct call *c, struct err *e) MUST_USE;
int command_recv(struct call *c, struct err *e) MUST_USE;
int command_plain(struct call *c, struct err *e) MUST_USE;
int command_room(struct call *c, struct err *e) MUST_USE;
int command_handshake(struct call *c, struct err *e) MUST_USE;
int command_guest(struct call *c, struct err *e) MUST_USE;
int command_lab(struct call *c, struct err *e) MUST_USE;
int command_verify(struct call *c, struct err *e) MUST_USE;
int command_stamp(struct call *c, struct err *e) MUST_USE;
int command_export(struct call *c, struct err *e) MUST_USE;
int command_prove(struct call *c, struct err *e) MUST_USE;
int command_accept(struct call *c, struct err *e) MUST_USE;
int command_me(struct call *c, struct err *e) MUST_USE;

/* The DER in the file of an option, which may be PEM with this label, appended to der; path NULL:
 * nothing. */
int der_read(const char *option, const char *path, const char *label, struct buf *der,
             struct err *e) MUST_USE;

#endif
