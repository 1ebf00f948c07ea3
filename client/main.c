#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/command.h"
#include "client/net.h"
#include "client/print.h"
#include "client/screen.h"
#include "client/settings.h"
#include "common/util/email.h"

#define VERSION "0.1"

enum { PORT_DEFAULT = 7443 };

static int command_help(struct call *c, struct err *e);

/* Where no screen can be drawn, or none is wanted. */
static bool lines_wanted(const struct call *c)
{
    const char *term = getenv("TERM");
    return c->plain || !isatty(STDOUT_FILENO) || (term != NULL && strcmp(term, "dumb") == 0);
}

static int command_screen(struct call *c, struct err *e)
{
    if (lines_wanted(c))
        return command_plain(c, e);
    return screen_run(&c->conf, c->plain, e);
}

int command_guest(struct call *c, struct err *e)
{
    struct guest_conf conf = {.port = PORT_DEFAULT, .key_file = c->key_file};

    if (c->args_n != 1)
        return err_set(e, ERR_USAGE,
                       "usage: countersign guest HOST:PORT --link classic [--key-file FILE]");
    if (net_address(str_of(c->args[0]), conf.host, sizeof conf.host, &conf.port, e) < 0)
        return -1;
    return screen_guest(&conf, e);
}

/* Every command: what it is called, what it takes, what runs. The first is the default. */
static const struct command {
    const char *name, *args, *help;
    int (*run)(struct call *c, struct err *e);
} commands[] = {
    {"", "", "the full-screen client", command_screen},
    {"join", "[INVITE|-]", "make an account with an invite", command_join},
    {"send", "ROOM|@NAME [TEXT|-]", "send one message", command_send},
    {"recv", "", "print what arrives", command_recv},
    {"plain", "", "line mode: prints what arrives, says what it reads", command_plain},
    {"room", "VERB ...", "create, join, leave, invite, members, topic, list", command_room},
    {"accept", "NAME", "take a member's new certificate without comparing it", command_accept},
    {"guest", "HOST:PORT", "a guest of classic: no account, no secrecy", command_guest},
    {"handshake", "[HOST:PORT]", "show a handshake step by step", command_handshake},
    {"lab", "ATTACK|all", "attack a link in this process, and see what comes of it", command_lab},
    {"export", "ROOM", "messages of a room, provable to others, into a file", command_export},
    {"prove", "ROOM NUMBER", "one message alone, provable to others, into a file", command_prove},
    {"verify", "FILE", "is this file of evidence true? Needs no account", command_verify},
    {"stamp", "FILE", "a third clock's word on a file of evidence; no account", command_stamp},
    {"me", "", "who you are here", command_me},
    {"help", "", "this text", command_help},
};

enum option_id { O_PROFILE = 256, O_FD, O_FILE, O_JSON, O_WAIT, O_TIMEOUT, O_FOLLOW, O_SINCE };
enum option_id_2 {
    O_ROOM = 300,
    O_NAME,
    O_DEVICE,
    O_EMAIL,
    O_RSA,
    O_NO_OPEN,
    O_PRIVATE,
    O_EPHEMERAL,
    O_HISTORY,
    O_PLAIN,
    O_TRANSCRIPT,
    O_LINK,
    O_PIN,
    O_CA,
    O_CRL,
    O_LOCAL,
    O_SVG,
    O_MERMAID,
    O_KEY_FILE,
    O_UNTIL,
    O_REDACT,
    O_TSA,
    O_TSA_CA
};

#define X(id, name) name " "
#define LINKS       LINK_KINDS(X)

/* Every option: getopt's part, the commands it belongs to ("" all), value and help. */
static const struct setting {
    const char *name, *value;
    int id;
    const char *of, *help;
} settings[] = {
    {"profile", "NAME", O_PROFILE, "", "which account of yours; default: default"},
    {"password-fd", "N", O_FD, "", "read the password from this descriptor"},
    {"password-file", "FILE", O_FILE, "", "read it from a file of mode 0600"},
    {"json", NULL, O_JSON, "send recv plain room accept handshake lab export prove verify stamp me",
     "one JSON object per line"},
    {"wait", "relay|delivered", O_WAIT, "send", "what to wait for; default: relay"},
    {"timeout", "S", O_TIMEOUT, "send recv room accept export prove stamp",
     "seconds to wait at most"},
    {"follow", NULL, O_FOLLOW, "recv", "go on until interrupted"},
    {"since", "CURSOR|TIME", O_SINCE, "recv export", "what came after it; export: from then on"},
    {"until", "TIME", O_UNTIL, "export", "up to then: 2026-11-21, or 2026-11-21T10:15:00Z"},
    {"redact", "N,...", O_REDACT, "export", "without the texts of these messages"},
    {"output", "FILE", 'o', "export prove stamp", "the file to make; also -o"},
    {"room", "ROOM", O_ROOM, "recv plain", "recv: only this room, or @NAME; plain: say it there"},
    {"name", "NAME", O_NAME, "join", "your name on the relay"},
    {"device", "NAME", O_DEVICE, "join", "name of this computer"},
    {"email", "ADDRESS", O_EMAIL, "join", "cianr: where the relay's operator can reach you"},
    {"rsa", "BITS", O_RSA, "join", "2048 or 3072; default: 2048"},
    {"link", "NAME", O_LINK, "", LINKS "(default: as joined); handshake: all"},
    {"pin", "SHA256", O_PIN, "", "ecdhe: the relay's certificate, which may have signed itself"},
    {"local", NULL, O_LOCAL, "handshake", "both ends here, with throw-away certificates"},
    {"svg", "FILE", O_SVG, "handshake", "draw it into this file"},
    {"mermaid", NULL, O_MERMAID, "handshake", "print it as a diagram for Mermaid instead"},
    {"key-file", "FILE", O_KEY_FILE, "guest handshake", "classic: the key, made when absent"},
    {"no-open", NULL, O_NO_OPEN, "join", "do not open the client afterwards"},
    {"private", NULL, O_PRIVATE, "room", "create: by invitation only"},
    {"ephemeral", NULL, O_EPHEMERAL, "room", "create: never on the relay's disk"},
    {"history", "all|joined", O_HISTORY, "room", "create: what new members may read"},
    {"ca", "FILE", O_CA, "verify", "the root certificate that you believe, PEM or DER"},
    {"crl", "FILE", O_CRL, "verify", "a newer revocation list than the one inside, PEM or DER"},
    {"tsa", "URL", O_TSA, "export stamp", "of a time-stamp authority (RFC 3161), http or https"},
    {"tsa-ca", "FILE", O_TSA_CA, "export stamp verify",
     "the root certificate above it, PEM or DER"},
    {"plain", NULL, O_PLAIN, "", "line mode instead of the full screen"},
    {"transcript", "auto|off", O_TRANSCRIPT, "",
     "does each session leave what was said, with receipts?"},
    {"help", NULL, 'h', "", "this text"},
    {"version", NULL, 'V', "", "version"},
};
static const char links[] = LINKS;
#undef X

static int command_help(struct call *c, struct err *e)
{
    (void)c;
    print_line("usage: countersign [options] [command]");
    for (size_t i = 0; i < COUNT(commands); i++)
        print_line("  %-9s %-20s %s", commands[i].name, commands[i].args, commands[i].help);
    for (size_t i = 0; i < COUNT(settings); i++)
        print_line("  --%s%s%-*s %s", settings[i].name, settings[i].value == NULL ? "" : " ",
                   27 - (int)strlen(settings[i].name) - (settings[i].value != NULL),
                   settings[i].value == NULL ? "" : settings[i].value, settings[i].help);
    return print_flush(e);
}

static int version(struct err *e)
{
    print_line("countersign %s (mbedTLS, libsodium, libuv, SQLite, ncursesw, readline, libcurl)",
               VERSION);
    return print_flush(e);
}

static int number_take(const char *name, const char *text, uint64_t max, uint64_t *out,
                       struct err *e)
{
    if (str_u64(str_of(text), max, out) < 0)
        return err_set(e, ERR_USAGE, "--%s wants a number, not \"%s\"", name, text);
    return 0;
}

static int wait_take(struct call *c, const char *text, struct err *e)
{
    c->delivered = strcmp(text, "delivered") == 0;
    if (!c->delivered && strcmp(text, "relay") != 0)
        return err_set(e, ERR_USAGE, "--wait is relay or delivered");
    return 0;
}

static int link_take(struct call *c, const char *text, struct err *e)
{
    c->link_all = strcmp(text, "all") == 0;
    if (c->link_all)
        return 0;
    if (link_kind_take(str_of(text), &c->link) < 0)
        return err_set(e, ERR_USAGE, "--link: there is no link \"%s\"; there are: %.*s", text,
                       (int)(sizeof links - 2), links);
    c->conf.link = &c->link;
    return 0;
}

/* 64 hex digits, also as openssl and we ourselves print them: in pairs or groups. */
static int pin_take(struct call *c, const char *text, struct err *e)
{
    char hex[2 * HASH_LEN + 1];
    size_t n = 0;

    for (const char *p = text; *p != '\0' && n < sizeof hex; p++)
        if (*p != ':' && *p != ' ')
            hex[n++] = *p >= 'A' && *p <= 'F' ? (char)(*p - 'A' + 'a') : *p;
    if (hex_take(c->pin.b, sizeof c->pin.b, str_from(hex, n)) < 0)
        return err_set(e, ERR_USAGE,
                       "--pin: \"%.70s\" is no SHA-256 of a certificate: %d hex digits, as openssl "
                       "x509 -fingerprint -sha256 prints them; nothing was sent",
                       text, 2 * HASH_LEN);
    c->conf.pin = &c->pin;
    return 0;
}

static int setting_take(struct call *c, int id, const char *value, struct err *e)
{
    uint64_t n = 0;

    switch (id) {
    case O_PROFILE: c->conf.profile = value; return 0;
    case O_FD:
        if (number_take("password-fd", value, 1 << 20, &n, e) < 0)
            return -1;
        c->conf.password_fd = (int)n;
        return 0;
    case O_FILE: c->conf.password_file = value; return 0;
    case O_JSON: c->json = true; return 0;
    case O_WAIT: return wait_take(c, value, e);
    case O_TIMEOUT:
        if (number_take("timeout", value, 24 * 60 * 60, &n, e) < 0)
            return -1;
        c->timeout_s = (unsigned)n;
        return 0;
    case O_FOLLOW: c->follow = true; return 0;
    case O_SINCE: c->since = value; return 0;
    case O_UNTIL: c->until = value; return 0;
    case O_REDACT: c->redact = value; return 0;
    case 'o': c->output = value; return 0;
    case O_ROOM: c->room = value; return 0;
    case O_NAME: c->name = value; return 0;
    case O_DEVICE: c->device = value; return 0;
    case O_RSA:
        if (number_take("rsa", value, 4096, &n, e) < 0)
            return -1;
        c->rsa_bits = (unsigned)n;
        return 0;
    case O_EMAIL: c->email = value; return 0;
    case O_LINK: return link_take(c, value, e);
    case O_PIN: return pin_take(c, value, e);
    case O_KEY_FILE: c->key_file = value; return 0;
    case O_NO_OPEN: c->no_open = true; return 0;
    case O_PRIVATE: c->secret = true; return 0;
    case O_EPHEMERAL: c->ephemeral = true; return 0;
    case O_HISTORY: c->history = value; return 0;
    case O_PLAIN: c->plain = true; return 0;
    case O_TRANSCRIPT: {
        bool on;
        c->conf.transcript = value;
        return transcript_take(&on, value, e);
    }
    case O_CA: c->ca = value; return 0;
    case O_CRL: c->crl = value; return 0;
    case O_TSA: c->tsa = value; return 0;
    case O_TSA_CA: c->tsa_ca = value; return 0;
    case O_LOCAL: c->local = true; return 0;
    case O_SVG: c->svg = value; return 0;
    case O_MERMAID: c->mermaid = true; return 0;
    }
    return err_set(e, ERR_USAGE, "unknown option; see countersign --help");
}

/* Is this word one of the list? */
static bool among(const char *list, const char *word)
{
    struct str rest = str_of(list);

    while (rest.n > 0)
        if (str_is(str_cut(&rest, ' '), word))
            return true;
    return false;
}

static int setting_fits(const struct setting *s, const char *command, struct err *e)
{
    if (s->of[0] == '\0' || among(s->of, command))
        return 0;
    return err_set(e, ERR_USAGE, "--%s belongs to: %s", s->name, s->of);
}

/* `classic` is asked for by name, and nothing that has an account goes over it. */
static int link_fits(const struct call *c, struct err *e)
{
    bool classic = c->conf.link != NULL && c->link == LINK_CLASSIC;
    bool guest = strcmp(c->command, "guest") == 0;
    bool look = strcmp(c->command, "handshake") == 0 || strcmp(c->command, "lab") == 0;

    if (guest && !classic)
        return err_set(e, ERR_USAGE, "guests are there in classic alone: say --link classic");
    if (classic && !guest && !look)
        return err_set(e, ERR_USAGE,
                       "classic has no accounts: countersign guest HOST:PORT --link classic");
    if (c->email != NULL && (c->conf.link == NULL || c->link != LINK_CIANR))
        return err_set(e, ERR_USAGE, "--email belongs to --link cianr: no other handshake asks");
    if (c->email != NULL && !email_is(str_of(c->email)))
        return err_set(e, ERR_USAGE, "--email: not an address in its plain form, NAME@HOST");
    if (c->conf.pin != NULL && (guest || strcmp(c->command, "lab") == 0 || c->local || c->link_all))
        return err_set(e, ERR_USAGE, "--pin belongs to what connects to a relay over ecdhe");
    if (c->key_file != NULL && !classic)
        return err_set(e, ERR_USAGE, "--key-file belongs to --link classic");
    return 0;
}

enum parsed { PARSED_RUN, PARSED_HELP, PARSED_VERSION, PARSED_BAD };

static enum parsed parse(struct call *c, int argc, char **argv, struct err *e)
{
    struct option longs[COUNT(settings) + 1] = {0};
    bool used[COUNT(settings)] = {false};
    int id;

    for (size_t i = 0; i < COUNT(settings); i++)
        longs[i] = (struct option){settings[i].name,
                                   settings[i].value == NULL ? no_argument : required_argument,
                                   NULL, settings[i].id};
    opterr = 0;
    while ((id = getopt_long(argc, argv, "hVo:", longs, NULL)) != -1) {
        if (id == 'h' || id == 'V')
            return id == 'h' ? PARSED_HELP : PARSED_VERSION;
        if (id == '?') {
            err_set(e, ERR_USAGE, "\"%s\" is no option, or lacks its value", argv[optind - 1]);
            return PARSED_BAD;
        }
        for (size_t i = 0; i < COUNT(settings); i++)
            used[i] |= settings[i].id == id;
        if (setting_take(c, id, optarg, e) < 0)
            return PARSED_BAD;
    }
    c->command = optind < argc ? argv[optind] : "";
    c->args = argv + optind + (optind < argc);
    c->args_n = argc - optind - (optind < argc);
    if (c->link_all && strcmp(c->command, "handshake") != 0) {
        err_set(e, ERR_USAGE, "--link all belongs to: handshake");
        return PARSED_BAD;
    }
    for (size_t i = 0; i < COUNT(settings); i++)
        if (used[i] && setting_fits(settings + i, c->command, e) < 0)
            return PARSED_BAD;
    return link_fits(c, e) < 0 ? PARSED_BAD : PARSED_RUN;
}

static int run(struct call *c, struct err *e)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(commands[i].name, c->command) == 0) {
            int ret = commands[i].run(c, e);
            if (ret < 0 || !c->opened)
                return ret;
            c->conf.known = &c->known; /* whoever just typed it is not asked again */
            return command_screen(c, e);
        }
    return err_set(e, ERR_USAGE, "\"%s\" is no command; see countersign --help", c->command);
}

/* No core, no debugger of the same user, nothing readable by others, no death by a closed pipe. */
static int harden(struct err *e)
{
    const struct rlimit none = {0, 0};

    umask(077);
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
#ifdef __SANITIZE_ADDRESS__
    const unsigned long dumpable = 1; /* the leak check looks at us from outside */
#else
    const unsigned long dumpable = 0;
#endif
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, dumpable) < 0)
        return err_set(e, ERR_OS, "core dumps cannot be turned off");
    return 0;
}

int main(int argc, char **argv)
{
    struct call c = {.conf = {.password_fd = -1}};
    struct err e = {0};
    int ret = -1;

    if (harden(&e) < 0 || crypto_init(&e) < 0)
        goto out;
    switch (parse(&c, argc, argv, &e)) {
    case PARSED_RUN: ret = run(&c, &e); break;
    case PARSED_HELP: ret = command_help(&c, &e); break;
    case PARSED_VERSION: ret = version(&e); break;
    case PARSED_BAD: break;
    }
out:
    password_wipe(&c.known);
    if (ret == 0)
        return 0;
    fprintf(stderr, "countersign: %s\n", e.text);
    return err_status(e.code == ERR_NONE ? ERR_LOCAL : e.code);
}
