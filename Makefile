# hotstandby: build, install, check.
#
#   make                                  everything, into build/
#   make install DESTDIR= PREFIX=/usr     no network, no compiler needed after `make`
#   make check | demo | bench             what scripts/check, scripts/demo and scripts/bench run

PREFIX     ?= /usr
SYSCONFDIR ?= /etc
BUILD      ?= build
CC         ?= gcc
CLANG      ?= clang
BPFTOOL    ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
PKGS       := libbpf libsystemd libmnl smartcols json-c libcurl
VERSION    := 0.1

# make V=1 shows the commands
Q   := $(if $(V),,@)
say  = @$(if $(V),:,printf '  %-6s %s\n' $(1) $@)

ifeq ($(origin CC),default)
CC := gcc
endif

# make WERROR=1: warnings are errors. For us: another compiler finds others, and a user's build shall not fail for them
WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes $(if $(WERROR),-Werror)
CPPFLAGS += -D_GNU_SOURCE -DHS_VERSION='"$(VERSION)"' -DHS_PREFIX='"$(PREFIX)"' \
            -DHS_SYSCONFDIR='"$(SYSCONFDIR)"' -Imanager -Ibpf -I$(BUILD)/bpf
CFLAGS   ?= -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
CFLAGS   += -std=gnu11 $(WARNINGS) -MMD -MP $(shell pkg-config --cflags $(PKGS))
# as needed: hsctl, which starts often, does without libcurl and the many libraries behind it
LDFLAGS  ?= -pie -Wl,-z,relro,-z,now -Wl,--as-needed
LDLIBS   += $(shell pkg-config --libs $(PKGS)) -lm
MULTIARCH := $(shell $(CC) -print-multiarch)
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 $(WARNINGS) \
              -Ibpf -I/usr/include/$(MULTIARCH)

BPF_SRC  := $(wildcard bpf/*.bpf.c)
SKELS    := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/bpf/%.skel.h)
LIB_SRC  := $(filter-out %/main.c,$(wildcard manager/*/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
PROGRAMS := $(BUILD)/hsd $(BUILD)/hsctl $(BUILD)/hs-hook $(BUILD)/hs-example-server
UNIT_TESTS  := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
PLANE_TESTS := $(patsubst tests/plane/%.c,$(BUILD)/tests/plane/%,$(wildcard tests/plane/test_*.c))
PLANE_RIG   := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/plane/test_% %.bpf.c,$(wildcard tests/plane/*.c)))
HOSTILE_TOOLS := $(patsubst tests/hostile/lib/%.c,$(BUILD)/tests/hostile/%,$(wildcard tests/hostile/lib/*.c))
BENCHES     := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/*.c))

all: $(PROGRAMS)

vpath %.bpf.c bpf tests/plane
$(BUILD)/bpf/%.bpf.o: %.bpf.c $(wildcard bpf/*.h)
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
HOOK_FLAGS := -ffreestanding -fno-stack-protector -fcf-protection=none -fno-pie -U_FORTIFY_SOURCE
$(BUILD)/manager/hook/main.o: CFLAGS += $(HOOK_FLAGS)
$(BUILD)/hs-hook: $(BUILD)/manager/hook/main.o
	$(call say,LD)
	$(Q)$(CC) $(HOOK_FLAGS) -static -no-pie -nostdlib -Wl,-z,noexecstack $^ -o $@

$(BUILD)/hs-example-server: $(patsubst %,$(BUILD)/units/examples/%.o,example-server example-http)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lsystemd -o $@

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@

$(BUILD)/tests/plane/test_%: $(BUILD)/tests/plane/test_%.o $(PLANE_RIG) $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@

$(BUILD)/tests/plane/test_decide_tc.o: $(BUILD)/bpf/decide_tc.skel.h
$(BUILD)/tests/plane/test_objects.o: $(BUILD)/bpf/refused.skel.h
$(BUILD)/bpf/decide_tc.bpf.o: tests/plane/decide_tc.h

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(PLANE_RIG) $(BUILD)/libhotstandby.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# Programs of ill will stand alone: nothing of ours is in them.
$(BUILD)/tests/hostile/%: tests/hostile/lib/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -D_GNU_SOURCE -O2 -std=gnu11 $(WARNINGS) $(if $(filter %.so,$@),-shared -fPIC) $< -o $@ -lpthread

unit-tests: $(UNIT_TESTS)
objects: $(BPF_SRC:bpf/%.c=$(BUILD)/bpf/%.o)
plane-tests: $(PLANE_TESTS)
benches: $(BENCHES)
# there may be none
hostile-tools: $(HOSTILE_TOOLS)
	@mkdir -p $(BUILD)/tests/hostile

$(BUILD)/units/%: units/%.in
	@mkdir -p $(@D)
	$(Q)sed 's|@PREFIX@|$(PREFIX)|g' $< > $@

DRILL_UNITS := $(BUILD)/units/hotstandby-drill@.service units/hotstandby-drill@.timer \
               units/hotstandby-drill-failed@.service
INSTALL := install -D
ROOT     = $(DESTDIR)$(PREFIX)

# Units, bus policy and catalog go where systemd and dbus look for a vendor's files: below /usr/lib and
# /usr/share when PREFIX is /usr, else below PREFIX.
install: all $(BUILD)/units/hsd.service $(BUILD)/units/hotstandby-drill@.service
	$(INSTALL) -m 0755 $(BUILD)/hsd $(ROOT)/sbin/hsd
	$(INSTALL) -m 0755 $(BUILD)/hsctl $(ROOT)/bin/hsctl
	$(INSTALL) -m 0755 $(BUILD)/hs-hook $(ROOT)/lib/hotstandby/hs-hook
	$(INSTALL) -m 0755 $(BUILD)/hs-example-server $(ROOT)/lib/hotstandby/hs-example-server
	$(INSTALL) -m 0644 $(BUILD)/units/hsd.service $(ROOT)/lib/systemd/system/hsd.service
	for f in $(DRILL_UNITS); do \
		$(INSTALL) -m 0644 $$f $(ROOT)/lib/systemd/system/$${f##*/} || exit; done
	$(INSTALL) -m 0644 units/org.hotstandby1.conf $(ROOT)/share/dbus-1/system.d/org.hotstandby1.conf
	$(INSTALL) -m 0644 units/hotstandby.catalog $(ROOT)/lib/systemd/catalog/hotstandby.catalog
	$(INSTALL) -m 0644 scripts/completion/hsctl.bash $(ROOT)/share/bash-completion/completions/hsctl
	for f in $(filter-out %.c %.h,$(wildcard units/examples/*)); do \
		$(INSTALL) -m 0644 $$f $(ROOT)/share/hotstandby/examples/$${f##*/} || exit; done
	for f in $(wildcard man/*.[1-8]); do \
		$(INSTALL) -m 0644 $$f $(ROOT)/share/man/man$${f##*.}/$${f##*/} || exit; done
	$(if $(DESTDIR),,-journalctl --update-catalog)

uninstall:
	rm -f $(ROOT)/sbin/hsd $(ROOT)/bin/hsctl $(ROOT)/lib/systemd/system/hsd.service \
		$(ROOT)/share/dbus-1/system.d/org.hotstandby1.conf \
		$(ROOT)/lib/systemd/catalog/hotstandby.catalog \
		$(ROOT)/share/bash-completion/completions/hsctl
	for f in $(notdir $(DRILL_UNITS)); do rm -f $(ROOT)/lib/systemd/system/$$f; done
	for f in $(wildcard man/*.[1-8]); do rm -f $(ROOT)/share/man/man$${f##*.}/$${f##*/}; done
	rm -f $(ROOT)/lib/hotstandby/hs-hook $(ROOT)/lib/hotstandby/hs-example-server
	rm -rf $(ROOT)/share/hotstandby
	-rmdir --ignore-fail-on-non-empty $(ROOT)/lib/hotstandby

check demo bench:
	./scripts/$@

clean:
	rm -rf $(BUILD)

.PHONY: all objects unit-tests plane-tests hostile-tools benches check demo bench install uninstall clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
