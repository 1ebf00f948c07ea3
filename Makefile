# Countersign. `make help` lists the targets; docs/style.md says how the code is laid out.
#
# Honoured: PREFIX DESTDIR CC CPPFLAGS CFLAGS LDFLAGS BUILD, and SANITIZE=address,undefined.
# CI=true turns warnings into errors, V=1 shows whole commands. Nothing is configured: libraries
# come from the standard paths, mbedTLS 3.6 from build/deps when `make deps` had to bring it.

BUILD   ?= build
DEPS    ?= build/deps
PREFIX  ?= /usr/local
CFLAGS  ?= -O2 -g
PYTHON  ?= /usr/bin/python3
FUZZ_SECONDS ?= 60
SEEDS   ?= 200

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

# --- flags -----------------------------------------------------------------------------------

warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wformat=2 \
    -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wcast-qual -Wwrite-strings -Wno-format-zero-length \
    $(if $(filter true,$(CI)),-Werror)
hardening := -fPIE -fstack-protector-strong -fstack-clash-protection \
    $(if $(filter x86_64 i%86,$(shell uname -m)),-fcf-protection)
fortify := $(if $(filter -O1 -O2 -O3 -Os,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
sanitize := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
    -fno-omit-frame-pointer)

compile = $(CC) -std=c17 -D_GNU_SOURCE -I. -isystem $(DEPS)/include \
    $(if $(SANITIZE),,$(fortify)) $(CPPFLAGS) $(warnings) $(hardening) \
    -ffile-prefix-map=$(CURDIR)=. -MMD -MP $(CFLAGS) $(sanitize)
link    = $(CC) $(CFLAGS) $(sanitize) -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

comma := ,
say   = $(if $(V),,@echo '  $1 $@';)

libs := -L$(DEPS)/lib -l:libmbedtls.a -l:libmbedx509.a -l:libmbedcrypto.a -lsodium -lcjson \
    -lutf8proc -luv -lsqlite3 -lreadline -lncursesw -ltinfo -lpthread

# --- layers: one archive each, every layer knows those before it -------------------------------

layers  := util crypto link evidence chat certs server client
sources_certs  := $(filter-out %/main.c,$(wildcard certs/*.c))
sources_server := $(filter-out %/main.c,$(wildcard server/*.c server/core/*.c))
sources_client := $(filter-out %/main.c,$(wildcard client/*.c client/core/*.c))
$(foreach l,util crypto link evidence chat,$(eval sources_$l := $(wildcard common/$l/*.c)))

objects   = $(patsubst %.c,$(BUILD)/obj/%.o,$1)
archives  = $(foreach l,$1,$(if $(sources_$l),$(BUILD)/lib$l.a))
below_util     := util
below_crypto   := crypto $(below_util)
below_link     := link $(below_crypto)
below_evidence := evidence $(below_link)
below_chat     := chat $(below_evidence)
below_certs    := certs $(below_chat)
below_server   := server $(below_certs)
below_client   := client $(below_certs)
everything     := server $(below_client)

# The folders count as sources: an archive forgets a file that was removed.
define archive_rule
$(BUILD)/lib$1.a: $(call objects,$(sources_$1)) $(sort $(dir $(sources_$1)))
	@rm -f $$@
	$$(call say,AR)$$(AR) qcs $$@ $$(filter %.o,$$^)
endef
$(foreach l,$(layers),$(eval $(call archive_rule,$l)))

# --- programs --------------------------------------------------------------------------------

main_countersignd    := server
main_countersign     := client
main_countersign-ca  := certs
programs := $(foreach p,countersignd countersign countersign-ca,$(if \
    $(wildcard $(main_$p)/main.c),$(BUILD)/$p))

define program_rule
$(BUILD)/$1: $(call objects,$2) $(call archives,$3)
	@mkdir -p $$(@D)
	$$(call say,LINK)$$(link) $$^ $$(libs) $4 -o $$@
endef
$(foreach p,$(notdir $(programs)),$(eval \
    $(call program_rule,$p,$(main_$p)/main.c,$(below_$(main_$p)))))

# --- tests: tests/unit/LAYER/test_x.c links LAYER and those below it ------------------------------

units    := $(wildcard tests/unit/test_*.c tests/unit/*/test_*.c)
fuzzers  := $(wildcard tests/fuzz/fuzz_*.c)
support  := $(wildcard tests/unit/support*.c)
layer_of  = $(firstword $(filter $(layers),$(notdir $(patsubst %/,%,$(dir $1)))) everything)
below_everything := $(everything)
support_of = $(support) $(wildcard $(dir $1)support*.c)
# Functions of ours that a test stands in front of, to have them fail or to count them.
wrapped_test_drive := -Wl,--wrap=record_new -Wl,--wrap=pkey_sign
wrapped_test_lies := $(foreach f,drive_chain_put drive_sign drive_sign_over drive_mac_put drive_hash \
    drive_context drive_seal drive_transcribe pkey_sign hmac_sha256,-Wl$(comma)--wrap=$f)
wrapped_test_seals := $(foreach f,record_new aead_seal cbc_seal,-Wl$(comma)--wrap=$f)
wrapped_test_nomem := $(foreach f,malloc calloc realloc,-Wl$(comma)--wrap=$f)
wrapped_test_unsaid := $(wrapped_test_nomem)
wrapped_test_scarce := $(wrapped_test_nomem)
wrapped_test_alike := $(foreach f,hmac_sha256 aead_open sha256 pkey_sign_pss,-Wl$(comma)--wrap=$f)

$(foreach t,$(units),$(eval $(call program_rule,tests/$(notdir $(t:.c=)),$t \
    $(sort $(call support_of,$t)),$(below_$(call layer_of,$t)),-lcmocka $(wrapped_$(notdir $(t:.c=))))))
$(foreach t,$(fuzzers),$(eval $(call program_rule,fuzz/$(notdir $(t:.c=)),$t \
    tests/fuzz/replay.c,$(everything))))
$(foreach t,$(fuzzers),$(eval $(call program_rule,libfuzzer/$(notdir $(t:.c=)),$t,$(everything),\
    -fsanitize=fuzzer)))

# What `make bench` needs besides libssl-dev: the generator, those who enrol its members, what times
# trees, and three servers that are not the product: the limit, our relay without its core, and
# without one check.
# Those without OpenSSL are built with the tests, so that a change of the relay does not break them unseen.
bench_ours     := $(addprefix $(BUILD)/bench/,enrol opaque unchecked trees)
bench_programs := $(bench_ours) $(addprefix $(BUILD)/bench/,load limit bundle)
$(eval $(call program_rule,bench/load,$(wildcard tests/bench/load/*.c),$(below_certs),-lssl -lcrypto))
$(eval $(call program_rule,bench/limit,tests/bench/limit.c,$(below_util),-lssl -lcrypto))
$(eval $(call program_rule,bench/enrol,tests/bench/enrol.c,$(below_server)))
$(eval $(call program_rule,bench/trees,tests/bench/trees.c,$(below_evidence)))
$(eval $(call program_rule,bench/bundle,tests/bench/bundle.c,$(below_chat),-lcrypto))
$(eval $(call program_rule,bench/opaque,tests/bench/opaque.c server/main.c,$(below_server)))
$(eval $(call program_rule,bench/unchecked,tests/bench/unchecked.c server/main.c,$(below_server),\
    -Wl$(comma)--wrap=entry_key_check))

judges := tests/tools/judge.c
$(eval $(call program_rule,judge,$(judges),$(below_crypto)))

# The client without one defence after the other: the lab must lose then.
weakened := peer_check secret_same aead_seal aead_open record_eof record_new drive_transcribe \
    lab_pki_make net_backoff
$(eval $(call program_rule,weak,tests/tools/weak.c client/main.c,$(below_client),\
    $(foreach f,$(weakened),-Wl$(comma)--wrap=$f)))

simulation := $(wildcard tests/unit/sim/sim.c)
$(foreach t,$(simulation),$(eval $(call program_rule,sim,$t \
    $(wildcard $(dir $t)support*.c),$(everything))))

unit_programs  := $(patsubst %.c,$(BUILD)/tests/%,$(notdir $(units)))
fuzz_programs  := $(patsubst %.c,$(BUILD)/fuzz/%,$(notdir $(fuzzers)))

# Stands between a program under test and the C library.
preloads := $(patsubst tests/preload/%.c,$(BUILD)/%.so,$(wildcard tests/preload/*.c))

$(BUILD)/%.so: tests/preload/%.c
	@mkdir -p $(@D)
	$(call say,SO)$(CC) -std=c17 -D_GNU_SOURCE $(warnings) $(CFLAGS) -fPIC -shared $< -o $@

$(BUILD)/obj/%.o: %.c | mbedtls
	@mkdir -p $(@D)
	$(call say,CC)$(compile) -c $< -o $@

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# --- targets ---------------------------------------------------------------------------------

.PHONY: help all tests demo check check-flips sessions check-faults timing asan tsan lint format \
    shape bench bench-deps fuzz deps deps-lint mbedtls clean-deps install uninstall clean

# Tests that `make check` leaves out, by their marker.
apart = COUNTERSIGN_BUILD=$(abspath $(BUILD)) LC_ALL=C.UTF-8 $(PYTHON) -m pytest -v -rs \
    -p no:cacheprovider -m

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

all: $(call archives,$(layers)) $(programs) ## build the three programs

tests: $(bench_ours)
tests: all $(unit_programs) $(fuzz_programs) $(preloads) $(BUILD)/judge $(BUILD)/weak ## build the tests without running them

demo: deps all ## a relay on loopback and the client in it
	tests/tools/demo $(BUILD)

check: deps tests ## build and run every test
	$(PYTHON) tests/tools/check $(BUILD)

asan: ## every test under AddressSanitizer and UBSan, in build/asan
	$(MAKE) check BUILD=build/asan SANITIZE=address,undefined CFLAGS='-O1 -g'

check-flips: all $(BUILD)/tests/test_drive $(BUILD)/tests/test_judge ## every byte of handshakes and evidence flipped; half an hour
	$(apart) flips tests/e2e/test_wire.py
	FLIPS=all $(BUILD)/tests/test_judge
	FLIPS=all $(BUILD)/tests/test_drive

sessions: ## SESSIONS=10000 links at random, some of them meddled with, under ASan; SESSION=n again
	$(MAKE) build/asan/tests/test_drive BUILD=build/asan SANITIZE=address,undefined CFLAGS='-O1 -g'
	SESSIONS=$(or $(SESSIONS),10000) build/asan/tests/test_drive

check-faults: deps tests ## a failing system below relay and client (parts want root and say so)
	@tests/tools/deps.sh $(DEPS) faults
	$(PYTHON) tests/tools/check --faults $(BUILD)

timing: all ## does the time of a refusal tell its reason? A statistic, not a test
	COUNTERSIGN_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/tools/timing

tsan: deps ## the relay under load with ThreadSanitizer, in build/tsan
	$(MAKE) tests BUILD=build/tsan SANITIZE=thread CFLAGS='-O1 -g'
	$(PYTHON) tests/tools/check --tsan build/tsan

fuzz: deps-lint ## run each fuzzer for FUZZ_SECONDS with clang's libFuzzer, in build/fuzz
	$(MAKE) libfuzzer BUILD=build/fuzz CC=clang CFLAGS='-O1 -g' \
	    SANITIZE=fuzzer-no-link,address,undefined
	tests/tools/fuzz.sh build/fuzz $(FUZZ_SECONDS)

lint: deps-lint ## format, layers, headers, cppcheck, shellcheck, manual pages
	@tests/tools/lint.sh

format: ## let clang-format rewrite the C files
	git ls-files '*.c' '*.h' | xargs -r clang-format -i

shape: ## our numbers beside those of docs/style.md
	@$(PYTHON) tests/tools/shape

sim: deps $(BUILD)/sim ## relay and clients from one seed: SEEDS=1000, or SEED=n again
	SEEDS=$(SEEDS) SEED=$(SEED) $(BUILD)/sim

bench: all $(bench_programs) ## our figures beside the peers': BENCH=fanout,idle QUICK=1
	BENCH=$(BENCH) QUICK=$(QUICK) ROUNDS=$(ROUNDS) $(PYTHON) tests/bench/run $(BUILD)

bench-deps: deps ## what only `make bench` needs: libssl-dev, and the peers
	@tests/tools/deps.sh $(DEPS) bench

deps: ## install what is missing (Debian) and bring mbedTLS 3.6
	@tests/tools/deps.sh $(DEPS)

deps-lint: deps ## the tools that only `make lint` and `make fuzz` need
	@tests/tools/deps.sh $(DEPS) lint

clean-deps: ## remove the mbedTLS that `make deps` brought
	rm -rf $(DEPS)

# All in PREFIX/bin: a relay needs no root, and people's PATH on Debian has no sbin.
bindir  := $(DESTDIR)$(PREFIX)/bin
mandir  := $(DESTDIR)$(PREFIX)/share/man
manuals := $(wildcard docs/*.1 docs/*.5 docs/*.8)
installed := $(addprefix $(bindir)/,countersignd countersign countersign-ca) \
    $(foreach m,$(manuals),$(mandir)/man$(patsubst .%,%,$(suffix $m))/$(notdir $m))

install: all ## into DESTDIR/PREFIX
	install -d $(sort $(dir $(installed)))
	install -m 755 $(addprefix $(BUILD)/,countersignd countersign countersign-ca) $(bindir)
	$(foreach m,$(manuals),install -m 644 $m $(mandir)/man$(patsubst .%,%,$(suffix $m)) &&) true

uninstall: ## remove precisely what install put there
	rm -f $(installed)

clean: ## remove everything built; build/deps stays
	find $(BUILD) -mindepth 1 -maxdepth 1 ! -path $(DEPS) -exec rm -rf {} +

# --- behind the scenes -----------------------------------------------------------------------

.PHONY: libfuzzer headers bench-there
libfuzzer: $(patsubst %.c,$(BUILD)/libfuzzer/%,$(notdir $(fuzzers)))

# Every header compiles alone.
headers := $(wildcard common/*/*.h certs/*.h server/*.h server/core/*.h client/*.h client/core/*.h)
headers: $(addsuffix .alone,$(headers))
%.h.alone: %.h | mbedtls
	@printf '#include "$<"\nextern int alone;\n' | \
	    $(compile) -Werror -fsyntax-only -MF /dev/null -x c -

$(call objects,tests/bench/limit.c tests/bench/bundle.c $(wildcard tests/bench/load/*.c)): | bench-there

bench-there:
	@printf '#include <openssl/ssl.h>\n' | $(CC) -E -x c - >/dev/null 2>&1 || \
	    { echo 'libssl-dev is not here: run `make bench-deps` first.' >&2; exit 1; }

mbedtls:
	@test -e $(DEPS)/.complete || pkg-config --atleast-version=3.6 mbedtls 2>/dev/null || \
	    { echo 'mbedTLS 3.6 is not here: run `make deps` first.' >&2; exit 1; }

# When packages are checked in the same run, nothing is compiled before they are there.
ifneq ($(filter check check-faults demo,$(MAKECMDGOALS)),)
mbedtls: deps
endif
