#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "certs/file.h"
#include "client/ask.h"
#include "client/command.h"
#include "client/core/joined.h"
#include "client/print.h"
#include "client/wire.h"
#include "common/chat/account.h"
#include "common/chat/frame.h"
#include "common/chat/invite.h"
#include "common/chat/name.h"
#include "common/chat/proto.h"
#include "common/crypto/csr.h"
#include "common/util/text.h"

/* One join, from the invite to the stored account. */
struct join {
    struct call *call;
    struct invite invite;
    struct profile profile;
    struct profile_keys keys;
    struct password password;
    struct rng rng;
    uint8_t salt[SALT_LEN];
    struct account_record record;
    uint8_t csr[CSR_MAX];
    size_t csr_n;
    uv_loop_t loop;
    struct wire *wire;
    struct link_conf link;
    struct frames in;
    struct buf out;
    bool asked, refused, done, resumed;
    struct err err;
};

/* --- what is asked of the person --- */

static int invite_parse(struct join *j, struct str text, struct err *e)
{
    enum invite_fault fault = invite_take(&j->invite, text);

    return fault == INVITE_OK ? 0
                              : err_set(e, ERR_DATA, "%s; nothing was sent; copy it again, whole",
                                        invite_fault_text(fault));
}

static int invite_ask(struct join *j, struct err *e)
{
    char text[INVITE_MAX];
    unsigned tries = 0;
    int ret;

    do {
        size_t n = 0;
        ret = ask_line("Invite (not shown): ", true, text, sizeof text, &n, e);
        if (ret == 0)
            ret = invite_parse(j, str_from(text, n), e);
    } while (ret < 0 && ask_again(&tries, e));
    wipe(text, sizeof text);
    return ret;
}

static int invite_stdin(struct join *j, struct err *e)
{
    char text[INVITE_MAX];

    if (fgets(text, sizeof text, stdin) == NULL)
        return err_set(e, ERR_INPUT, "there is no invite on standard input");
    int ret = invite_parse(j, str_from(text, strcspn(text, "\n")), e);
    wipe(text, sizeof text);
    return ret;
}

static int invite_argument(struct join *j, char *arg, struct err *e)
{
    int ret = invite_parse(j, str_of(arg), e);

    wipe(arg, strlen(arg));
    fputs("countersign: the invite stood on the command line: your shell's history may keep "
          "it; without an argument join asks for it\n",
          stderr);
    return ret;
}

static int invite_read(struct join *j, struct err *e)
{
    if (j->call->args_n == 0)
        return invite_ask(j, e);
    char *arg = j->call->args[0];
    return strcmp(arg, "-") == 0 ? invite_stdin(j, e) : invite_argument(j, arg, e);
}

static int name_take(struct str name, enum name_of of, char out[NAME_MAX_LEN + 1], struct err *e)
{
    return name_check(name, of, e) < 0 ? -1 : str_copy(out, NAME_MAX_LEN + 1, name);
}

static int name_given(struct str name, const char *what, enum name_of of,
                      char out[NAME_MAX_LEN + 1], struct err *e)
{
    if (name.n == 0)
        return err_set(e, ERR_USAGE, "a name is needed: --name NAME");
    return name_take(name, of, out, e) < 0 ? err_in(e, "%s", what) : 0;
}

/* A name from the option, or from the person, or as it is suggested. */
static int name_read(const char *given, const char *prompt, const char *suggested, enum name_of of,
                     char out[NAME_MAX_LEN + 1], struct err *e)
{
    char text[NAME_MAX_LEN], full[256];
    unsigned tries = 0;
    int ret;

    if (given != NULL || !ask_possible())
        return name_given(str_of(given != NULL ? given : suggested), prompt, of, out, e);
    snprintf(full, sizeof full, suggested[0] == '\0' ? "%s: " : "%s [%s]: ", prompt, suggested);
    do {
        size_t n = 0;
        ret = ask_line(full, false, text, sizeof text, &n, e);
        if (ret == 0)
            ret = name_take(n > 0 ? str_from(text, n) : str_of(suggested), of, out, e);
    } while (ret < 0 && ask_again(&tries, e));
    return ret;
}

static int names_read(struct join *j, struct err *e)
{
    char host[NAME_MAX_LEN + 1] = "";
    struct err ignored = {0};

    if (gethostname(host, sizeof host - 1) < 0)
        host[0] = '\0';
    host[strcspn(host, ".")] = '\0';
    if (name_check(str_of(host), NAME_DEVICE, &ignored) < 0)
        snprintf(host, sizeof host, "computer");
    return name_read(j->call->name, "Your name", "", NAME_PERSON, j->profile.account, e) < 0 ||
                   name_read(j->call->device, "Name of this device", host, NAME_DEVICE,
                             j->profile.device, e) < 0
               ? -1
               : 0;
}

/* --- key and request --- */

static struct str password_of(const struct join *j)
{
    return str_from(j->password.text, j->password.n);
}

/* A join whose answer was lost goes on with the key that the relay saw. */
static int keys_ready(struct join *j, struct err *e)
{
    j->resumed = profile_begun(&j->profile);
    if (j->resumed) {
        if (password_get(&j->call->conf, "Password given when joining began: ", &j->password, e) <
            0)
            return -1;
        if (profile_unlock(&j->profile, password_of(j), &j->rng, &j->keys, e) < 0)
            return err_in(e, "the key of a join that was begun (%s)", j->profile.dir);
        return 0;
    }
    if (password_new(&j->call->conf, &j->password, e) < 0)
        return -1;
    j->keys.key =
        pkey_generate(j->call->rsa_bits == 3072 ? PKEY_RSA_3072 : PKEY_RSA_2048, &j->rng, e);
    if (j->keys.key == NULL)
        return -1;
    if (rng_fill(&j->rng, j->keys.store.b, sizeof j->keys.store.b) < 0)
        return err_set(e, ERR_OS, "no random numbers");
    return 0;
}

static int request_ready(struct join *j, struct err *e)
{
    struct account_key *login = &j->keys.login;

    if (csr_make(j->keys.key, j->profile.account, &j->rng, j->csr, &j->csr_n, e) < 0)
        return -1;
    if (rng_fill(&j->rng, j->salt, sizeof j->salt) < 0)
        return err_set(e, ERR_OS, "no random numbers");
    account_salt(login->salt, &j->invite.root, str_of(j->profile.account), j->salt);
    if (account_salted(&login->salted, password_of(j), login->salt, j->profile.cost, e) < 0)
        return -1;
    account_record(&j->record, &login->salted);
    /* before the request leaves: a lost answer can be asked for again with the same key */
    return profile_save_keys(&j->profile, &j->keys, password_of(j), j->resumed, &j->rng, e);
}

/* --- the conversation --- */

static void join_end(struct join *j, enum err_code code, const char *text)
{
    if (j->done)
        return;
    j->done = true;
    if (text != NULL)
        err_set(&j->err, code, "%s", text);
    wire_hang_up(j->wire);
    uv_stop(&j->loop);
}

static int ask_join(struct join *j)
{
    const struct f_hello_client hello = {.v = 1};
    struct f_join f = {
        .id = 1,
        .name = str_of(j->profile.account),
        .device = str_of(j->profile.device),
        .csr = span_of(j->csr, j->csr_n),
        .t = j->profile.cost.t,
        .m = j->profile.cost.m_kib,
    };

    memcpy(f.token, j->invite.token, sizeof f.token);
    memcpy(f.salt, j->salt, sizeof f.salt);
    memcpy(f.stored_key.b, j->record.stored.b, sizeof f.stored_key.b);
    memcpy(f.server_key.b, j->record.server.b, sizeof f.server_key.b);
    int ret =
        f_hello_client_put(&j->out, &hello, &j->err) < 0 || f_join_put(&j->out, &f, &j->err) < 0
            ? -1
            : 0;
    wipe(&f, sizeof f);
    j->asked = true;
    return ret;
}

static int answer_check(const struct join *j, const struct f_joined *x, struct err *e)
{
    uint8_t spki[SPKI_MAX];
    size_t n = 0;

    if (pkey_spki(j->keys.key, spki, &n, e) < 0)
        return -1;
    const struct joining asked = {.root = j->invite.root,
                                  .spki = span_of(spki, n),
                                  .account = j->profile.account,
                                  .device = j->profile.device,
                                  .now = clock_wall_ms(NULL)};
    return joined_check(&asked, x, e);
}

static int der_keep(uint8_t out[CERT_MAX], size_t *n, struct span der)
{
    if (der.n > CERT_MAX)
        return -1;
    memcpy(out, der.p, der.n);
    *n = der.n;
    return 0;
}

static void take_joined(struct join *j, const struct f_joined *x)
{
    struct profile *p = &j->profile;
    struct err e = {0};

    if (answer_check(j, x, &e) < 0 || der_keep(p->root, &p->root_n, x->root) < 0 ||
        der_keep(p->leaf, &p->leaf_n, x->chain[0]) < 0 ||
        der_keep(p->issuer, &p->issuer_n, x->chain[1]) < 0) {
        err_set(&e, ERR_PEER, "a certificate is too big");
        join_end(j, e.code, e.text);
        return;
    }
    p->root_fp = j->invite.root;
    cert_fingerprint(x->chain[0], &p->fp);
    join_end(j, ERR_NONE, NULL);
}

static void take_refusal(struct join *j, const struct f_error *x)
{
    static const struct {
        enum proto_code code;
        enum err_code err;
        const char *next;
    } rows[] = {
        {CODE_AUTH, ERR_AUTH, "whoever runs the relay makes one"},
        {CODE_TAKEN, ERR_CREATE, "choose another; the invite is still good"},
        {CODE_BAD_NAME, ERR_DATA, "choose another name; the invite is still good"},
        {CODE_LIMIT, ERR_LIMIT, "ask who runs the relay"},
        {CODE_BUSY, ERR_AGAIN, "try again; the invite is still good"},
    };
    char text[256];

    j->refused = x->code != CODE_BUSY && x->code != CODE_SHUTDOWN;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].code == x->code) {
            snprintf(text, sizeof text, "the relay refused: %.*s (%s)", (int)x->text.n, x->text.p,
                     rows[i].next);
            join_end(j, rows[i].err, text);
            return;
        }
    snprintf(text, sizeof text, "the relay refused: %.*s", (int)x->text.n, x->text.p);
    join_end(j, ERR_PEER, text);
}

static void take_frame(struct join *j, struct frame *f)
{
    if (f->type == F_HELLO_RELAY && !j->asked && f->u.hello_relay.v == 1) {
        /* cleaned before it is kept: a newline would be a line of the account's file */
        text_clean(j->profile.relay, sizeof j->profile.relay, f->u.hello_relay.relay,
                   TEXT_ONE_LINE);
        if (ask_join(j) < 0)
            join_end(j, ERR_LOCAL, j->err.text);
    } else if (f->type == F_JOINED && j->asked) {
        take_joined(j, &f->u.joined);
    } else if (f->type == F_ERROR) {
        take_refusal(j, &f->u.error);
    } else {
        join_end(j, ERR_PEER, "the relay broke the protocol of joining");
    }
}

static void on_message(void *ctx, struct span bytes)
{
    struct join *j = ctx;
    struct span json;
    struct frame f;
    struct err e = {0};
    int found = frames_feed(&j->in, bytes, &e) < 0 ? -1 : 0;

    while (!j->done && found >= 0 && (found = frames_next(&j->in, &json, &e)) == 1) {
        f = (struct frame){0};
        if (frame_take(&f, json, FROM_RELAY, &e) < 0) {
            found = -1;
            break;
        }
        take_frame(j, &f);
        frame_free(&f);
    }
    if (found < 0)
        join_end(j, e.code, e.text);
}

static void on_rest(void *ctx)
{
    struct join *j = ctx;
    struct span out = buf_span(&j->out);

    if (out.n == 0 || j->done)
        return;
    wire_send(j->wire, out);
    buf_drop(&j->out, out.n);
}

static void on_up(void *ctx, const char *where)
{
    (void)ctx;
    (void)where;
}

static void on_step(void *ctx, const struct link_step *step)
{
    (void)ctx;
    (void)step;
}

static void on_linked(void *ctx)
{
    (void)ctx;
}

static void on_down(void *ctx, const struct err *why, bool final)
{
    struct join *j = ctx;

    (void) final;
    join_end(j, why->code, why->text);
}

static int converse(struct join *j, struct err *e)
{
    const struct wire_ops ops = {on_up, on_step, on_linked, on_message, on_rest, on_down, j};

    j->link = (struct link_conf){
        .kind = j->profile.link,
        .root = &j->invite.root,
        .leaf = profile_pin(&j->profile),
        .host = j->invite.host,
        .join = true,
        .email = j->call->email,
        .rng = j->rng,
        .now = clock_wall_ms,
        .mono = clock_mono_us,
    };
    if (uv_loop_init(&j->loop) != 0)
        return err_set(e, ERR_OS, "no event loop");
    j->wire = wire_new(&j->loop, &ops, e);
    if (j->wire != NULL) {
        wire_dial(j->wire, &j->link, j->invite.host, j->invite.port);
        uv_run(&j->loop, UV_RUN_DEFAULT);
        wire_free(j->wire);
        uv_run(&j->loop, UV_RUN_DEFAULT);
    }
    uv_loop_close(&j->loop);
    if (j->err.code != ERR_NONE)
        return err_set(e, j->err.code, "%s", j->err.text);
    return j->done ? 0 : err_set(e, ERR_LOCAL, "joining did not end");
}

static void tell(const struct join *j)
{
    char fp[FP_GROUPS], root[FP_GROUPS];
    struct clean relay = {0}, dir = {0};

    fp_groups(fp, &j->profile.fp);
    fp_groups(root, &j->profile.root_fp);
    print_line("joined   %s, %s:%u, as %s on device %s", clean(&relay, j->profile.relay),
               j->profile.host, j->profile.port, j->profile.account, j->profile.device);
    print_line("relay    proved by its root certificate, the one in the invite: %s", root);
    print_line("key      RSA-%u, made here, sealed with your password: %s/key",
               pkey_bits(j->keys.key), clean(&dir, j->profile.dir));
    print_line("yours    SHA-256 of your certificate: %s", fp);
    print_line("next     countersign%s%s", j->call->conf.profile == NULL ? "" : " --profile ",
               j->call->conf.profile == NULL ? "" : j->call->conf.profile);
    clean_free(&relay);
    clean_free(&dir);
}

static int prepare(struct join *j, struct err *e)
{
    if (j->call->args_n > 1)
        return err_set(e, ERR_USAGE, "usage: countersign join [INVITE|-]");
    if (j->call->rsa_bits != 0 && j->call->rsa_bits != 2048 && j->call->rsa_bits != 3072)
        return err_set(e, ERR_USAGE, "--rsa is 2048 or 3072");
    if (profile_where(&j->profile, j->call->conf.profile, e) < 0)
        return -1;
    j->profile.link = LINK_TLS;
    if (profile_route(&j->profile, j->call->conf.link, j->call->conf.pin, e) < 0)
        return -1;
    if (profile_exists(&j->profile))
        return err_set(e, ERR_CREATE,
                       "there is an account here already (%s); --profile NAME makes another",
                       j->profile.dir);
    if (invite_read(j, e) < 0)
        return -1;
    j->profile.cost = j->call->conf.cost != NULL ? *j->call->conf.cost : argon_cost_default();
    snprintf(j->profile.host, sizeof j->profile.host, "%s", j->invite.host);
    j->profile.port = j->invite.port;
    return names_read(j, e) < 0 || keys_ready(j, e) < 0 ? -1 : request_ready(j, e);
}

int command_join(struct call *c, struct err *e)
{
    struct join *j = calloc(1, sizeof *j);
    int ret = -1;

    if (j == NULL)
        return err_set(e, ERR_OS, "no memory");
    j->call = c;
    j->rng = rng_system();
    frames_init(&j->in, FRAME_MAX_EARLY);
    buf_init(&j->out, FRAME_MAX);
    if (prepare(j, e) < 0)
        goto out;
    ret = converse(j, e);
    if (ret == 0)
        ret = profile_save(&j->profile, e);
    else if (j->refused)
        profile_forget(&j->profile); /* nothing hangs on this key */
    if (ret == 0) {
        tell(j);
        c->opened = !c->no_open && isatty(STDOUT_FILENO);
        if (c->opened)
            c->known = j->password;
        ret = print_flush(e);
    }
out:
    profile_keys_wipe(&j->keys);
    frames_free(&j->in);
    buf_free(&j->out);
    wipe(j, sizeof *j);
    free(j);
    return ret;
}
