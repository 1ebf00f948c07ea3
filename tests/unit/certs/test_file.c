/* Files of the programs: modes from the first byte, nothing through symbolic links, bounds. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "certs/file.h"

static char dir[] = "/tmp/countersign-test-XXXXXX", path[64], other[64];

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/a", dir);
    snprintf(other, sizeof other, "%s/b", dir);
    return 0;
}

static int teardown(void **state)
{
    char cmd[64];

    (void)state;
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    return system(cmd);
}

static int each(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    rmdir(path);
    return 0;
}

static struct span text(const char *s)
{
    return span_of(s, strlen(s));
}

static unsigned mode_is(const char *file)
{
    struct stat st;

    assert_int_equal(lstat(file, &st), 0);
    return st.st_mode & 07777;
}

static void assert_holds(const char *file, const char *want)
{
    struct err e = {0};
    struct buf b;

    buf_init(&b, 4096);
    if (file_read(file, FILE_PUBLIC, &b, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(span_same(buf_span(&b), text(want)));
    buf_free(&b);
}

/* No entry of the directory may be left behind by a failure. */
static size_t entries(void)
{
    char cmd[64];
    unsigned n = 0;

    snprintf(cmd, sizeof cmd, "ls -A %s | wc -l", dir);
    FILE *f = popen(cmd, "r");
    assert_int_equal(fscanf(f, "%u", &n), 1);
    pclose(f);
    return n;
}

static void modes_do_not_depend_on_the_umask(void **state)
{
    static const mode_t masks[] = {0, 022, 077, 0777};
    struct err e = {0};
    (void)state;

    for (size_t i = 0; i < COUNT(masks); i++) {
        mode_t old = umask(masks[i]);
        assert_int_equal(file_create(path, FILE_SECRET, text("key"), &e), 0);
        assert_int_equal(file_create(other, FILE_PUBLIC, text("crt"), &e), 0);
        umask(old);
        assert_int_equal(mode_is(path), 0600);
        assert_int_equal(mode_is(other), 0644);
        unlink(path);
        unlink(other);
    }
}

static void nothing_is_replaced_unasked(void **state)
{
    struct err e = {0};
    (void)state;

    assert_int_equal(file_create(path, FILE_SECRET, text("old"), &e), 0);
    assert_int_equal(file_create(path, FILE_SECRET, text("new"), &e), -1);
    assert_int_equal(e.code, ERR_CREATE);
    assert_holds(path, "old");
    assert_int_equal(entries(), 1);
    err_clear(&e);
    assert_int_equal(file_replace(path, FILE_SECRET, text("new"), &e), 0);
    assert_holds(path, "new");
    assert_int_equal(mode_is(path), 0600);
    assert_int_equal(entries(), 1);
}

enum { RIVALS = 4, RACES = 50 };

struct rival {
    pthread_barrier_t *start;
    char name[16];
    unsigned won[RACES];
};

static void *create_all(void *ctx)
{
    struct rival *v = ctx;

    for (int i = 0; i < RACES; i++) {
        char at[sizeof path + 16];
        struct err e = {0};
        snprintf(at, sizeof at, "%s.%d", path, i);
        pthread_barrier_wait(v->start);
        v->won[i] = file_create(at, FILE_SECRET, text(v->name), &e) == 0;
    }
    return NULL;
}

/* Of those who create one name at the same moment one does, and it has his bytes. */
static void one_creates_a_name(void **state)
{
    struct rival v[RIVALS] = {0};
    pthread_barrier_t start;
    pthread_t t[RIVALS];
    (void)state;

    assert_int_equal(pthread_barrier_init(&start, NULL, RIVALS), 0);
    for (int i = 0; i < RIVALS; i++) {
        v[i].start = &start;
        snprintf(v[i].name, sizeof v[i].name, "%d", i);
        assert_int_equal(pthread_create(&t[i], NULL, create_all, &v[i]), 0);
    }
    for (int i = 0; i < RIVALS; i++)
        pthread_join(t[i], NULL);
    pthread_barrier_destroy(&start);
    for (int n = 0; n < RACES; n++) {
        char at[sizeof path + 16];
        unsigned won = 0;
        snprintf(at, sizeof at, "%s.%d", path, n);
        for (int i = 0; i < RIVALS; i++) {
            won += v[i].won[n];
            if (v[i].won[n])
                assert_holds(at, v[i].name);
        }
        assert_int_equal(won, 1);
        unlink(at);
    }
    assert_int_equal(entries(), 0); /* no temporary file is left */
}

static void secrets_that_others_may_use_are_refused(void **state)
{
    static const mode_t modes[] = {0644, 0640, 0604, 0660, 0602, 0601, 0610, 0777};
    char want[128];
    struct buf b;
    (void)state;

    buf_init(&b, 64);
    for (size_t i = 0; i < COUNT(modes); i++) {
        struct err e = {0};
        assert_int_equal(file_create(path, FILE_SECRET, text("key"), &e), 0);
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(file_read(path, FILE_SECRET, &b, &e), -1);
        assert_int_equal(e.code, ERR_CONFIG);
        snprintf(want, sizeof want, "chmod 600 %s", path);
        assert_non_null(strstr(e.text, want));
        assert_int_equal(buf_span(&b).n, 0);
        err_clear(&e);
        assert_int_equal(file_append(path, FILE_SECRET, str_of("x"), &e), -1);
        unlink(path);
    }
    buf_free(&b);
}

static void secrets_of_other_users_are_refused(void **state)
{
    struct err e = {0};
    struct buf b;
    (void)state;

    if (geteuid() != 0)
        skip();
    buf_init(&b, 64);
    assert_int_equal(file_create(path, FILE_SECRET, text("key"), &e), 0);
    assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
    assert_int_equal(file_read(path, FILE_SECRET, &b, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    buf_free(&b);
}

static void symbolic_links_are_refused(void **state)
{
    struct err e[5] = {{0}};
    struct buf b;
    (void)state;

    buf_init(&b, 64);
    assert_int_equal(file_create(other, FILE_SECRET, text("victim"), &e[0]), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(file_read(path, FILE_SECRET, &b, &e[0]), -1);
    assert_int_equal(file_create(path, FILE_SECRET, text("x"), &e[1]), -1);
    assert_int_equal(file_replace(path, FILE_SECRET, text("x"), &e[2]), -1);
    assert_int_equal(file_append(path, FILE_SECRET, str_of("x"), &e[3]), -1);
    assert_int_equal(file_lock(path, 0, &e[4]), -1);
    assert_non_null(strstr(e[0].text, "symbolic link"));
    assert_non_null(strstr(e[2].text, "symbolic link"));
    assert_holds(other, "victim");
    assert_int_equal(entries(), 2);
    buf_free(&b);
}

/* A link to nowhere: creating through it would plant a file elsewhere. */
static void dangling_links_are_refused(void **state)
{
    struct err e[4] = {{0}};
    (void)state;

    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(file_create(path, FILE_SECRET, text("x"), &e[0]), -1);
    assert_int_equal(file_replace(path, FILE_SECRET, text("x"), &e[1]), -1);
    assert_int_equal(file_append(path, FILE_SECRET, str_of("x"), &e[2]), -1);
    assert_int_equal(file_lock(path, 0, &e[3]), -1);
    assert_false(file_exists(other));
}

static void only_regular_files_are_read_or_written(void **state)
{
    struct err e[6] = {{0}};
    struct buf b;
    (void)state;

    buf_init(&b, 64);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_read(path, FILE_PUBLIC, &b, &e[0]), -1); /* and does not wait */
    assert_int_equal(file_replace(path, FILE_PUBLIC, text("x"), &e[1]), -1);
    assert_int_equal(file_append(path, FILE_SECRET, str_of("x"), &e[2]), -1);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(file_read(path, FILE_PUBLIC, &b, &e[3]), -1);
    assert_int_equal(file_replace(path, FILE_PUBLIC, text("x"), &e[4]), -1);
    assert_int_equal(file_read("/dev/null", FILE_PUBLIC, &b, &e[5]), -1);
    assert_non_null(strstr(e[0].text, "FIFO"));
    assert_non_null(strstr(e[3].text, "directory"));
    buf_free(&b);
}

struct swap {
    atomic_bool stop;
    char link[sizeof path + 8], open[sizeof path + 8], good[sizeof path + 8];
};

/* The name is now ours, now a symbolic link, now a file that others may read. */
static void *swap_names(void *ctx)
{
    struct swap *s = ctx;
    const char *turns[] = {s->link, s->good, s->open, s->good};

    for (size_t i = 0; !atomic_load(&s->stop); i++) {
        char tmp[sizeof path + 16];
        snprintf(tmp, sizeof tmp, "%s.turn", path);
        unlink(tmp);
        if (turns[i % COUNT(turns)] == s->link) {
            if (symlink(s->open, tmp) < 0)
                break;
        } else if (link(turns[i % COUNT(turns)], tmp) < 0) {
            break;
        }
        if (rename(tmp, path) < 0)
            break;
    }
    return NULL;
}

/* What is judged is what is read, also while the name changes hands between the two. */
static void names_that_change_hands_give_nothing_away(void **state)
{
    struct swap s = {0};
    struct err e = {0};
    pthread_t t;
    unsigned read = 0;
    (void)state;

    snprintf(s.link, sizeof s.link, "%s.link", path);
    snprintf(s.open, sizeof s.open, "%s.open", path);
    snprintf(s.good, sizeof s.good, "%s.good", path);
    assert_int_equal(file_create(s.good, FILE_SECRET, text("ours"), &e), 0);
    assert_int_equal(file_create(s.open, FILE_PUBLIC, text("theirs"), &e), 0);
    assert_int_equal(file_create(path, FILE_SECRET, text("ours"), &e), 0);
    assert_int_equal(pthread_create(&t, NULL, swap_names, &s), 0);
    for (unsigned i = 0; i < 200000 && (i < 5000 || read < 100); i++) {
        struct buf b;
        buf_init(&b, 64);
        if (file_read(path, FILE_SECRET, &b, &(struct err){0}) == 0) {
            read++;
            assert_int_equal(buf_span(&b).n, 4);
            assert_memory_equal(buf_span(&b).p, "ours", 4);
        }
        buf_free(&b);
    }
    atomic_store(&s.stop, true);
    pthread_join(t, NULL);
    assert_true(read >= 100);
}

static void reading_has_a_bound(void **state)
{
    struct err e = {0};
    struct buf b;
    (void)state;

    assert_int_equal(file_create(path, FILE_PUBLIC, text("12345"), &e), 0);
    buf_init(&b, 4);
    assert_int_equal(file_read(path, FILE_PUBLIC, &b, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    buf_free(&b);
    err_clear(&e);
    buf_init(&b, 5);
    assert_int_equal(file_read(path, FILE_PUBLIC, &b, &e), 0);
    buf_free(&b);
    assert_int_equal(file_read(other, FILE_PUBLIC, &b, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
}

static void half_a_line_goes_before_the_next(void **state)
{
    struct err e = {0};
    char *line = malloc(10000);
    struct buf b;
    (void)state;

    memset(line, 'x', 9999);
    line[9999] = '\0';
    assert_int_equal(file_append(path, FILE_SECRET, str_of("one"), &e), 0);
    assert_int_equal(mode_is(path), 0600);
    for (int i = 0; i < 2; i++) { /* a short tail, and one longer than what is read at once */
        FILE *f = fopen(path, "a");
        fputs(i == 0 ? "torn" : line, f);
        fclose(f);
        assert_int_equal(file_append(path, FILE_SECRET, str_of("two"), &e), 0);
    }
    assert_holds(path, "one\ntwo\ntwo\n");
    buf_init(&b, 4);
    buf_free(&b);
    free(line);
}

/* F11: a disk that takes half of what is written, and then no more. */
static void half_a_write_is_none(void **state)
{
    struct rlimit was, half;
    struct err e[3] = {{0}};
    (void)state;

    assert_int_equal(file_append(path, FILE_SECRET, str_of("0123"), &e[0]), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    half = (struct rlimit){10, was.rlim_max};
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &half), 0);
    int created = file_create(other, FILE_SECRET, text("0123456789abcdef"), &e[0]);
    int replaced = file_replace(path, FILE_SECRET, text("0123456789abcdef"), &e[1]);
    int appended = file_append(path, FILE_SECRET, str_of("456789abcdef"), &e[2]);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, before);
    assert_int_equal(created + replaced + appended, -3);
    for (size_t i = 0; i < COUNT(e); i++)
        assert_int_equal(e[i].code, ERR_IO);
    assert_holds(path, "0123\n");
    assert_int_equal(entries(), 1); /* no temporary file is left */
}

static void directories_belong_to_us_alone(void **state)
{
    char deep[96];
    struct err e = {0};
    (void)state;

    snprintf(deep, sizeof deep, "%s/x/y/z", dir);
    mode_t old = umask(0);
    assert_int_equal(dir_make(deep, &e), 0);
    umask(old);
    assert_int_equal(mode_is(deep), 0700);
    assert_int_equal(dir_make(deep, &e), 0);
    static const mode_t open_to_others[] = {0777, 0770, 0702, 01777};
    for (size_t i = 0; i < COUNT(open_to_others); i++) {
        struct err here = {0};
        assert_int_equal(chmod(deep, open_to_others[i]), 0);
        assert_int_equal(dir_make(deep, &here), -1);
        assert_non_null(strstr(here.text, "chmod go-w"));
    }
    if (geteuid() == 0) {
        struct err here = {0};
        assert_int_equal(chmod(deep, 0700), 0);
        assert_int_equal(chown(deep, 12345, (gid_t)-1), 0);
        assert_int_equal(dir_make(deep, &here), -1);
        assert_non_null(strstr(here.text, "belongs to user 12345"));
    }
    assert_int_equal(file_create(path, FILE_PUBLIC, text(""), &e), 0);
    assert_int_equal(dir_make(path, &e), -1);
    snprintf(deep, sizeof deep, "rm -rf %s/x", dir);
    assert_int_equal(system(deep), 0);
}

static void a_lock_keeps_other_processes_out(void **state)
{
    struct err e = {0};
    int status;
    (void)state;

    int fd = file_lock(path, 0, &e);
    assert_true(fd >= 0);
    assert_int_equal(mode_is(path), 0600);
    pid_t pid = fork();
    if (pid == 0) {
        struct err here = {0};
        _exit(file_lock(path, 30, &here) < 0 && here.code == ERR_AGAIN ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    file_unlock(fd);
    fd = file_lock(path, 0, &e);
    assert_true(fd >= 0);
    file_unlock(fd);
    file_unlock(-1);
}

static void paths_have_bounds(void **state)
{
    char out[8];
    struct err e = {0};
    (void)state;

    assert_int_equal(path_join(out, sizeof out, "/a/", "b", &e), 0);
    assert_string_equal(out, "/a/b");
    assert_int_equal(path_join(out, sizeof out, "/a", "bcde", &e), 0);
    assert_string_equal(out, "/a/bcde");
    assert_int_equal(path_join(out, sizeof out, "/a", "bcdef", &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(modes_do_not_depend_on_the_umask, each),
        cmocka_unit_test_setup(nothing_is_replaced_unasked, each),
        cmocka_unit_test_setup(one_creates_a_name, each),
        cmocka_unit_test_setup(secrets_that_others_may_use_are_refused, each),
        cmocka_unit_test_setup(secrets_of_other_users_are_refused, each),
        cmocka_unit_test_setup(symbolic_links_are_refused, each),
        cmocka_unit_test_setup(dangling_links_are_refused, each),
        cmocka_unit_test_setup(only_regular_files_are_read_or_written, each),
        cmocka_unit_test_setup(reading_has_a_bound, each),
        cmocka_unit_test_setup(half_a_line_goes_before_the_next, each),
        cmocka_unit_test_setup(half_a_write_is_none, each),
        cmocka_unit_test_setup(directories_belong_to_us_alone, each),
        cmocka_unit_test_setup(a_lock_keeps_other_processes_out, each),
        cmocka_unit_test_setup(paths_have_bounds, each),
        cmocka_unit_test_setup(names_that_change_hands_give_nothing_away, each),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
