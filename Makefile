# SPDX-License-Identifier: GPL-2.0-or-later
# hotstandby: build, install, check. `make help` prints these lines; scripts/lint holds that each target has one.
#
#   make all                              everything that is installed, into build/; without a target, the same
#   make install DESTDIR= PREFIX=/usr     no network, no compiler needed after `make`
#   make uninstall                        with the same PREFIX; refuses as long as something is in use
#   make deb                              packages of Debian, into build/deb; needs no root (scripts/package)
#   make rpm                              packages for rpm, into build/rpm
#   make dist                             build/hotstandby-VERSION.tar.xz, of what is committed
#   make check                            installs what is missing, and runs the tests (scripts/check)
#   make check-installed                  the system tests with the hotstandby that is installed on this machine
#   make lint                             the rules that scripts/lint holds
#   make demo                             nginx under load, with hotstandby and without (scripts/demo)
#   make bench                            what each thing costs (scripts/bench)
#   make fuzz                             the fuzz targets with clang's libFuzzer, into build/fuzz/tests/fuzz
#   make coverage                         which lines the tests reach, by folder (scripts/coverage)
#   make unit-tests                       builds tests/unit; scripts/check unit runs them
#   make plane-tests                      builds tests/plane; scripts/check plane runs them
#   make engine-tests                     builds tests/engine; scripts/check engine runs them
#   make enter                            builds what brings a command into a container of scripts/lib/container.sh
#   make installed                        what `make install` installs, in build/rig/installed: for containers
#   make hostile-tools                    builds the programs of ill will of tests/hostile
#   make fuzzers                          builds the fuzz targets to run over files, without libFuzzer
#   make benches                          builds tests/bench
#   make objects                          the BPF objects alone
#   make clean                            removes build/
#   make help                             these lines
#
# With all of them: V=1 shows the commands, WERROR=1 makes warnings errors, BUILD= is another place than build/.
# SANITIZE=1 builds with the address and undefined-behaviour sanitizers, for tests, into build/sanitize.

PREFIX     ?= /usr
SYSCONFDIR ?= /etc
BUILD      ?= $(if $(SANITIZE),build/sanitize,build)
CC         ?= gcc
CLANG      ?= clang
BPFTOOL    ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
PKGS       := libbpf libsystemd libmnl smartcols json-c
VERSION    := 0.2

Q   := $(if $(V),,@)
say  = @$(if $(V),:,printf '  %-6s %s\n' $(1) $@)

ifeq ($(origin CC),default)
CC := gcc
endif

# Not with what a release is hardened by, which hides from the sanitizers what they look for.
ifdef SANITIZE
override CFLAGS  := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
override LDFLAGS := -Wl,--as-needed
endif

# Names of bpf/ are unique, so its headers are included, and its objects called, without the room.
BPF_ROOMS := bpf $(patsubst %/,%,$(sort $(dir $(wildcard bpf/*/*.h bpf/*/*.c))))

# WERROR=1 is for us: another compiler finds other warnings, and a user's build shall not fail for them
WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes $(if $(WERROR),-Werror)
# override: what has to be there is added to what is given on make's own command line, too
override CPPFLAGS += -D_GNU_SOURCE -DHS_VERSION='"$(VERSION)"' -DHS_PREFIX='"$(PREFIX)"' \
            -DHS_SYSCONFDIR='"$(SYSCONFDIR)"' -Imanager $(BPF_ROOMS:%=-I%) -I$(BUILD)/bpf
CFLAGS   ?= -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
# assert() stays, whatever a distribution says: see HACKING.md
override CFLAGS += -UNDEBUG -std=gnu11 $(WARNINGS) -MMD -MP $(shell pkg-config --cflags $(PKGS))
# as needed: hsctl, which starts often, does without what only others need
LDFLAGS  ?= -pie -Wl,-z,relro,-z,now -Wl,--as-needed
override LDLIBS += $(shell pkg-config --libs $(PKGS)) -lm
# clang has no such option in every release
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null || gcc -print-multiarch)
# the objects are in the programs as they are: no trace of where they were compiled
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g '-ffile-prefix-map=$(CURDIR)=.' -std=gnu11 $(WARNINGS) \
              $(BPF_ROOMS:%=-I%) -I/usr/include/$(MULTIARCH)

BPF_SRC  := $(wildcard $(BPF_ROOMS:%=%/*.bpf.c))
BPF_OBJ  := $(patsubst %.c,$(BUILD)/bpf/%.o,$(notdir $(BPF_SRC)))
SKELS    := $(BPF_OBJ:.bpf.o=.skel.h)
C_SRC    := $(wildcard manager/*/*.c manager/*/*/*.c)
LIB_SRC  := $(filter-out %/main.c,$(C_SRC))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
# those that speak to servers, to Prometheus and to collectors, with next to no privilege
OWN_PROGRAMS := hs-probe hs-plugin hs-replay hotstandby-exporter
# examples/echo
ECHO := hs-echo-server hs-echo-client
PROGRAMS := $(BUILD)/hsd $(BUILD)/hsctl $(BUILD)/hs-borrow $(BUILD)/hs-hook $(OWN_PROGRAMS:%=$(BUILD)/%) $(BUILD)/hs-example-server \
	$(ECHO:%=$(BUILD)/%)
UNIT_TESTS  := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
PLANE_TESTS := $(patsubst tests/plane/%.c,$(BUILD)/tests/plane/%,$(wildcard tests/plane/test_*.c))
PLANE_RIG   := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/plane/test_% %.bpf.c,$(wildcard tests/plane/*.c)))
ENGINE_TESTS := $(patsubst tests/engine/%.c,$(BUILD)/tests/engine/%,$(wildcard tests/engine/test_*.c))
ENGINE_RIG   := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/engine/test_%,$(wildcard tests/engine/*.c)))
HOSTILE_TOOLS := $(patsubst tests/hostile/lib/%.c,$(BUILD)/tests/hostile/%,$(wildcard tests/hostile/lib/*.c))
FUZZERS     := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES     := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/*.c))

all: $(PROGRAMS)

vpath %.bpf.c $(BPF_ROOMS) tests/plane
$(BUILD)/bpf/%.bpf.o: %.bpf.c $(wildcard $(BPF_ROOMS:%=%/*.h))
	@mkdir -p $(@D)
	$(call say,BPF)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@.new
	$(Q)mv $@.new $@

$(BUILD)/%.o: %.c | $(SKELS)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(BUILD)/libhotstandby.a: $(LIB_OBJ)
	$(call say,AR)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/hsd: $(BUILD)/manager/hsd/main.o $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/hsctl: $(BUILD)/manager/hsctl/main.o $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# static and without a C library, so that nothing reads the environment: see manager/hook/main.c
HOOK_FLAGS := -fno-sanitize=all -fno-profile-arcs -fno-test-coverage -ffreestanding -fno-stack-protector \
	-fcf-protection=none -fno-pie -U_FORTIFY_SOURCE
$(BUILD)/manager/hook/main.o: override CFLAGS += $(HOOK_FLAGS)
$(BUILD)/hs-hook: $(BUILD)/manager/hook/main.o
	$(call say,LD)
	$(Q)$(CC) $(HOOK_FLAGS) -static -no-pie -nostdlib -Wl,-z,noexecstack $^ -o $@

# the only program with libcurl
$(BUILD)/hs-probe: $(BUILD)/manager/probe/main.o $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lsystemd $(shell pkg-config --libs libcurl) -o $@

# the only program with libmicrohttpd
$(BUILD)/hotstandby-exporter: $(BUILD)/manager/exporter/main.o $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) $(shell pkg-config --libs libmicrohttpd) -o $@

$(BUILD)/hs-borrow: $(BUILD)/manager/borrow/main.o $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(shell pkg-config --libs libbpf) -o $@

$(BUILD)/hs-plugin: $(BUILD)/manager/plugin/main.o $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/hs-replay: $(BUILD)/manager/replay/main.o $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@

$(BUILD)/hs-example-server: $(patsubst %,$(BUILD)/examples/%.o,example-server example-http)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lsystemd -o $@

$(BUILD)/hs-echo-%: $(BUILD)/examples/echo/echo-%.o $(BUILD)/examples/echo/echo-address.o
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lsystemd -o $@

# what is installed has no environment in which the sanitizers could be told
ifdef SANITIZE
SANITIZE_OPTIONS := $(BUILD)/tests/sanitize/options.o
$(SANITIZE_OPTIONS): override CFLAGS += -fno-sanitize=all
$(filter-out %/hs-hook,$(PROGRAMS)): $(SANITIZE_OPTIONS)
endif

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) $(shell pkg-config --libs libcurl) -lcmocka -o $@

$(BUILD)/tests/plane/test_%: $(BUILD)/tests/plane/test_%.o $(PLANE_RIG) $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@

$(BUILD)/tests/plane/test_decide_tc.o: $(BUILD)/bpf/decide_tc.skel.h
$(BUILD)/tests/plane/test_objects.o: $(BUILD)/bpf/refused.skel.h
$(BUILD)/bpf/decide_tc.bpf.o: tests/plane/decide_tc.h

# tests/engine/units.c and probes.c stand in for files of the library, and these are for its sources.c, engine.c and nth.c
NTH_WRAP := $(shell sed -n 's/^CALL.\([a-z_0-9]*\),.*/\1/p' tests/engine/nth.c)
ENGINE_WRAP := $(foreach f,$(foreach kind,io time time_relative defer,sd_event_add_$(kind)) borrow_use $(NTH_WRAP),-Wl,--wrap=$(f))
$(BUILD)/tests/engine/test_%: $(BUILD)/tests/engine/test_%.o $(ENGINE_RIG) $(PLANE_RIG) $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(ENGINE_WRAP) $^ $(LDLIBS) -lcmocka -o $@

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(PLANE_RIG) $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# Programs of ill will stand alone: nothing of ours is in them.
$(BUILD)/tests/hostile/%: tests/hostile/lib/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -D_GNU_SOURCE -O2 -std=gnu11 $(WARNINGS) $(if $(filter %.so,$@),-shared -fPIC) $< -o $@ -lpthread

# FUZZ_MAIN= leaves main() to libFuzzer
FUZZ_MAIN := $(BUILD)/tests/fuzz/standalone.o
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_MAIN) $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# For scripts/lib/container.sh: what brings a command into a container, and what a new one is given to hold.
$(BUILD)/rig/enter: scripts/lib/enter.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -D_GNU_SOURCE -O2 -std=gnu11 $(WARNINGS) -static $< -o $@
enter: $(BUILD)/rig/enter

unit-tests: $(UNIT_TESTS)
objects: $(BPF_OBJ)
plane-tests: $(PLANE_TESTS)
engine-tests: $(ENGINE_TESTS)
fuzzers: $(FUZZERS)
benches: $(BENCHES)
# there may be none
hostile-tools: $(HOSTILE_TOOLS)
	@mkdir -p $(BUILD)/tests/hostile

# What has PREFIX in it is made anew for another PREFIX.
PLACED := $(shell grep -lE 'HS_(PREFIX|SYSCONFDIR)\b' $(C_SRC))
$(BUILD)/prefix: always
	@mkdir -p $(@D)
	@echo '$(PREFIX) $(SYSCONFDIR)' | cmp -s - $@ || echo '$(PREFIX) $(SYSCONFDIR)' > $@
$(PLACED:%.c=$(BUILD)/%.o): $(BUILD)/prefix

# Units, examples and pages are written for /usr.
PLACE := sed -E 's,/usr/(s?bin/hs|lib/hotstandby|lib/systemd/system/h|share/hotstandby),$(PREFIX)/\1,g; \
         s,/usr/share(/dbus-1/system.d),$(BUS_FOLDER)\1,g'
$(BUILD)/units/%: units/% $(BUILD)/prefix
	@mkdir -p $(@D)
	$(Q)$(PLACE) $< > $@

$(BUILD)/man/%: man/% $(BUILD)/prefix
	@mkdir -p $(@D)
	$(Q)$(PLACE) $< > $@

# Where dbus looks: its own /usr/share for what is installed below /usr, else what belongs to the machine.
BUS_FOLDER := $(if $(filter /usr,$(PREFIX)),/usr/share,$(SYSCONFDIR))
# Where zsh looks: in a folder for packages, and in one for what the machine's owner installs.
ZSH_FOLDER := share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
# polkit looks nowhere else, wherever the rest is
POLKIT_FOLDER := /usr/share/polkit-1/actions
INTERFACES := $(wildcard data/org.hotstandby1.*.xml)
UNITS    := $(patsubst %,$(BUILD)/%,$(wildcard units/*.service units/*.socket units/*.timer units/*.target))
EXAMPLES := $(patsubst %,$(BUILD)/%,$(wildcard units/examples/*))
MONITORING := $(wildcard examples/monitoring/*)
PACKAGES := $(patsubst %,$(BUILD)/%,$(wildcard units/packages/*))
PAGES    := $(patsubst %,$(BUILD)/%,$(wildcard man/*.[1-8]))

# What is installed, and removed again: MODE:SOURCE:TARGET, see scripts/install.
INSTALLED := \
	0755:$(BUILD)/hsd:sbin/hsd \
	0755:$(BUILD)/hsctl:bin/hsctl \
	0755:$(BUILD)/hs-borrow:lib/hotstandby/hs-borrow \
	0755:$(BUILD)/hs-hook:lib/hotstandby/hs-hook \
	$(foreach f,$(OWN_PROGRAMS),0755:$(BUILD)/$(f):lib/hotstandby/$(f)) \
	0755:$(BUILD)/hs-example-server:lib/hotstandby/hs-example-server \
	$(foreach f,$(ECHO),0755:$(BUILD)/$(f):lib/hotstandby/$(f)) \
	$(foreach f,$(UNITS),0644:$(f):lib/systemd/system/$(notdir $(f))) \
	0644:units/org.hotstandby1.conf:$(BUS_FOLDER:/usr/%=%)/dbus-1/system.d/org.hotstandby1.conf \
	$(foreach f,$(INTERFACES),0644:$(f):share/dbus-1/interfaces/$(notdir $(f))) \
	0644:data/org.hotstandby1.policy:$(POLKIT_FOLDER)/org.hotstandby1.policy \
	0644:units/hotstandby-exporter.sysusers:lib/sysusers.d/hotstandby-exporter.conf \
	0644:units/hotstandby.catalog:lib/systemd/catalog/hotstandby.catalog \
	0644:$(BUILD)/units/packages/80hotstandby:$(SYSCONFDIR)/apt/apt.conf.d/80hotstandby \
	0644:$(BUILD)/units/packages/needrestart.conf:$(SYSCONFDIR)/needrestart/conf.d/hotstandby.conf \
	0755:$(BUILD)/units/packages/upgrade-slot:lib/hotstandby/upgrade-slot \
	0644:scripts/completion/hsctl.bash:share/bash-completion/completions/hsctl \
	0644:scripts/completion/hsctl.zsh:$(ZSH_FOLDER)/_hsctl \
	0644:scripts/completion/hsctl.fish:share/fish/vendor_completions.d/hsctl.fish \
	$(foreach f,$(EXAMPLES),0644:$(f):share/hotstandby/examples/$(notdir $(f))) \
	0644:examples/polkit/50-hotstandby.rules:share/hotstandby/examples/50-hotstandby.rules \
	$(foreach f,$(MONITORING),0644:$(f):share/hotstandby/monitoring/$(notdir $(f))) \
	$(foreach f,$(PAGES),0644:$(f):share/man/man$(subst .,,$(suffix $(f)))/$(notdir $(f)))

install: all $(UNITS) $(EXAMPLES) $(PACKAGES) $(PAGES)
	$(Q)scripts/install install '$(DESTDIR)' '$(PREFIX)' '$(SYSCONFDIR)' $(INSTALLED)

# The same as files of this tree, made anew when one of them has changed.
$(BUILD)/rig/installed: $(PROGRAMS) $(UNITS) $(EXAMPLES) $(PACKAGES) $(PAGES) $(foreach f,$(INSTALLED),$(word 2,$(subst :, ,$(f)))) scripts/install
	$(Q)rm -rf $@ $@.new
	$(Q)mkdir -p $@.new
	$(Q)scripts/install install '$(abspath $@.new)' '$(PREFIX)' '$(SYSCONFDIR)' $(INSTALLED)
	$(Q)mv $@.new $@
	$(Q)touch $@
installed: $(BUILD)/rig/installed

uninstall:
	$(Q)scripts/install uninstall '$(DESTDIR)' '$(PREFIX)' '$(SYSCONFDIR)' $(INSTALLED)

check lint demo bench coverage:
	./scripts/$@

check-installed:
	./scripts/check installed

deb rpm dist:
	$(Q)scripts/package $@ '$(BUILD)' '$(VERSION)'

help:
	@sed -n 's/^#   make/make/p; s/^# With all/\nWith all/p; s/^# SANITIZE/SANITIZE/p' Makefile

# With clang's libFuzzer. To run one: build/fuzz/tests/fuzz/fuzz_config DIRECTORY-FOR-FINDS tests/fuzz/seeds/config
FUZZ_FLAGS := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
fuzz:
	$(Q)$(MAKE) --no-print-directory CFLAGS='$(FUZZ_FLAGS)' LDFLAGS=-fsanitize=fuzzer BUILD=$(BUILD)/fuzz CC=$(CLANG) FUZZ_MAIN= fuzzers

clean:
	rm -rf $(BUILD)

.PHONY: all enter installed objects unit-tests plane-tests engine-tests hostile-tools fuzzers fuzz benches check check-installed lint demo bench coverage install \
	uninstall deb rpm dist clean help always
.SECONDARY:
# beside objects alone: a folder of a package may be called so, too
-include $(shell find $(BUILD)/manager $(BUILD)/bpf $(BUILD)/examples $(BUILD)/tests -type f -name '*.d' 2>/dev/null)
