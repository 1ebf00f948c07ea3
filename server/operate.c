/* `countersignd invite`, `user` and `session`: the operator's hand in the store, also while a relay
 * runs. */
#include <stdio.h>
#include <string.h>

#include "common/chat/invite.h"
#include "common/util/text.h"
#include "common/util/time.h"
#include "server/books.h"
#include "server/command.h"
#include "server/core/operator.h"
#include "server/identity.h"
#include "server/log.h"

enum { HOUR_MS = 3600 * 1000 };

/* Where clients find us: --at, else our name; at the port we listen on, if neither says another. */
static int address(const struct conf *c, struct invite *i, struct err *e)
{
    struct host_port at = {.port = PORT_DEFAULT}, here = {.port = PORT_DEFAULT};
    const char *text = c->at[0] != '\0' ? c->at : c->name;

    if (host_port_take(&here, str_of(c->listen), e) < 0)
        return -1;
    if (here.port != 0)
        at.port = here.port;
    if (host_port_take(&at, str_of(text), e) < 0)
        return -1;
    if (at.port == 0)
        return err_set(e, ERR_CONFIG, "the relay has no fixed port: say --at HOST:PORT");
    i->port = (uint16_t)at.port;
    return str_copy(i->host, sizeof i->host, str_of(at.host)) < 0
               ? err_set(e, ERR_CONFIG, "the host name is too long")
               : 0;
}

bool invite_possible(const struct conf *c)
{
    struct invite i;
    struct err e = {0};

    return address(c, &i, &e) == 0;
}

int invite_make(const struct conf *c, struct store *s, const struct invite_wish *w,
                char line[INVITE_MAX], struct err *e)
{
    struct operator_invite ask = {.for_name = w->for_name,
                                  .keep = w->keep,
                                  .admin = w->admin,
                                  .life = (int64_t)w->hours * HOUR_MS};
    struct rng rng = rng_system();
    struct invite i = {.port = 0};
    struct ca *ca = identity_ca(c, e);
    int ret = -1;

    if (ca == NULL)
        return -1;
    cert_fingerprint(ca_root(ca), &i.root);
    ca_free(ca);
    if (address(c, &i, e) < 0 || operator_invite(s, &ask, &rng, clock_now(NULL), i.token, e) < 0)
        goto out;
    ret = invite_put(line, &i);
    if (ret < 0)
        err_set(e, ERR_CONFIG, "%s is not an address that an invite can name", i.host);
out:
    wipe(&i, sizeof i);
    return ret;
}

int command_invite(struct call *c, struct err *e)
{
    const struct conf *o = &c->conf;
    struct invite_wish w = {.for_name = o->for_[0] == '\0' ? NULL : o->for_,
                            .keep = o->keep_devices,
                            .admin = o->admin,
                            .hours = (unsigned)o->hours};
    char line[INVITE_MAX];
    struct store s;

    if (w.for_name == NULL && w.keep)
        return err_set(e, ERR_USAGE, "--keep-devices goes with --for NAME");
    if (w.for_name != NULL && w.admin)
        return err_set(e, ERR_USAGE, "--admin is for a new account, --for names an old one");
    if (books_open(o, STORE_BESIDE, &s, e) < 0)
        return -1;
    int ret = invite_make(o, &s, &w, line, e);
    if (ret == 0)
        puts(line);
    wipe(line, sizeof line);
    store_close(&s);
    return ret;
}

/* --- user --- */

static int print_user(void *ctx, const struct store_user *u)
{
    char name[NAME_MAX_LEN * TEXT_CLEAN_GROWS + 1], since[TIME_TEXT];
    char email[EMAIL_MAX * TEXT_CLEAN_GROWS + 1];

    (void)ctx;
    text_clean(name, sizeof name, str_of(u->name), TEXT_ONE_LINE);
    text_clean(email, sizeof email, str_of(u->email), TEXT_ONE_LINE);
    time_put(since, u->since);
    printf("%-32s %-8s %-5s since %.10s%s%s\n", name, u->disabled ? "disabled" : "active",
           u->admin ? "admin" : "", since, email[0] == '\0' ? "" : "  ", email);
    return 0;
}

static int user_list(struct store *s, const char *name, struct err *e)
{
    (void)name;
    return s->ops->user_each(s->db, print_user, NULL, e) < 0 ? -1 : 0;
}

static int user_disable(struct store *s, const char *name, struct err *e)
{
    return operator_disable(s, name, true, clock_now(NULL), e);
}

static int user_enable(struct store *s, const char *name, struct err *e)
{
    return operator_disable(s, name, false, clock_now(NULL), e);
}

static const struct verb {
    const char *name;
    bool named; /* an account follows */
    int (*run)(struct store *s, const char *name, struct err *e);
} verbs[] = {
    {"list", false, user_list},
    {"disable", true, user_disable},
    {"enable", true, user_enable},
};

static const struct verb *verb_find(const struct call *c)
{
    for (size_t i = 0; i < COUNT(verbs); i++)
        if (strcmp(verbs[i].name, c->argv[0]) == 0 && c->argc == (verbs[i].named ? 2 : 1))
            return &verbs[i];
    return NULL;
}

int command_user(struct call *c, struct err *e)
{
    const struct verb *v = verb_find(c);
    struct store s;

    if (v == NULL)
        return err_set(e, ERR_USAGE, "usage: countersignd user list | disable NAME | enable NAME");
    if (books_open(&c->conf, STORE_BESIDE, &s, e) < 0)
        return -1;
    int ret = v->run(&s, c->argv[1], e);
    store_close(&s);
    return ret;
}

/* --- session --- */

struct listing {
    const struct store *s;
    struct err *e;
};

static int print_login(void *ctx, const struct store_login *l)
{
    const struct listing *x = ctx;
    struct store_user u = {.name = ""};
    char name[NAME_MAX_LEN * TEXT_CLEAN_GROWS + 1], started[TIME_TEXT], ended[TIME_TEXT] = "open";
    char count[24] = "-", session[2 * SESSION_ID_LEN + 1], fp[2 * HASH_LEN + 1];
    char relay[2 * HASH_LEN + 1], token[2 * HASH_LEN + 1], transcript[2 * HASH_LEN + 1] = "-";

    if (x->s->ops->user_get(x->s->db, &l->account, &u, x->e) < 0)
        return -1;
    text_clean(name, sizeof name, str_of(u.name), TEXT_ONE_LINE);
    if (name[0] == '\0') /* its row is gone, or damaged: the session was all the same */
        hex_put(name, span_of(l->account.b, sizeof l->account.b));
    time_put(started, l->started);
    if (l->ended != 0)
        time_put(ended, l->ended);
    if (l->counted)
        snprintf(count, sizeof count, "%llu", (unsigned long long)l->entries);
    hex_put(session, span_of(l->session, sizeof l->session));
    hex_put(fp, span_of(l->fp.b, sizeof l->fp.b));
    hex_put(relay, span_of(l->relay_fp.b, sizeof l->relay_fp.b));
    hex_put(token, span_of(l->token.b, sizeof l->token.b));
    if (l->has_transcript)
        hex_put(transcript, span_of(l->transcript.b, sizeof l->transcript.b));
    printf("%s  %-32s %s to %s  entries %s\n  certificates %s, relay %s\n  token %s\n"
           "  transcript %s\n",
           session, name, started, ended, count, fp, relay, token, transcript);
    return 0;
}

int command_session(struct call *c, struct err *e)
{
    struct store s;

    if (strcmp(c->argv[0], "list") != 0)
        return err_set(e, ERR_USAGE, "usage: countersignd session list");
    if (books_open(&c->conf, STORE_BESIDE, &s, e) < 0)
        return -1;
    struct listing x = {&s, e};
    int ret = s.ops->login_each(s.db, print_login, &x, e) < 0 ? -1 : 0;
    store_close(&s);
    return ret;
}
