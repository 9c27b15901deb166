// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine.h"

#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "core/word.h"
#include "nth.h"
#include "plane/bpf/accounting.h"
#include "plane/bpf/pins.h"
#include "probes.h"
#include "service/slot/adoption.h"
#include "service/slot/netns_stock.h"
#include "service/slot/states.h"
#include "service/watch/hang.h"
#include "service/whole/assembly.h"
#include "service/workers.h"
#include "sources.h"
#include "system/configfile.h"

/* What /etc is the engine's, in a file system of its own. */
#define ROOT "/run"

/* One for the program: what the host is told has no userdata. */
static struct engine *hosted;

bool engine_lists;

/* ---- the word ---- */

static void check_word(struct engine *engine)
{
	uint64_t word;

	if (!engine->service || !engine->service->plane)
		return;
	word = plane_word(engine->service->plane);
	if (!word_is_sound(word))
		rig_fail(__FILE__, __LINE__, "the word %#llx is not sound",
			 (unsigned long long)word);
	if (engine->word && hs_word_active(engine->word) != HS_SLOT_NONE)
		rig_check(hs_word_active(word) != HS_SLOT_NONE);
	if (engine->word && engine->word != word)
		rig_check(word_generation(word) != word_generation(engine->word));
	engine->word = word;
}

/* ---- the host ---- */

static struct engine *of(const struct host *host)
{
	return container_of(host, struct engine, host);
}

static int order(const struct host *host, const struct work_order *work_order, const int *fds,
		 size_t n_fds, const struct work *work, struct work **ret_work)
{
	of(host)->ordered[work_order->kind]++;
	return workers_order(of(host)->workers, work_order, fds, n_fds, work, ret_work);
}

static unsigned busy(const struct host *host)
{
	return workers_busy(of(host)->workers);
}

static struct service *const *services(const struct host *host, size_t *ret_n)
{
	*ret_n = of(host)->service != NULL;
	return &of(host)->service;
}

static void changed(const struct service *service)
{
	(void)service;
}

static void progress(const struct service *service, const char *json)
{
	(void)service;
	rig_check(json[0] == '{');
}

static const struct host_ops host_ops = {
	.order = order,
	.busy = busy,
	.changed = changed,
	.progress = progress,
	.services = services,
};

static void on_debug(const char *line)
{
	hosted->n_events++;
	if (hosted->is_loud)
		fprintf(stderr, "# %s\n", line);
	check_word(hosted);
}

static void on_released(const char *service, unsigned slot, void *userdata)
{
	struct engine *engine = userdata;

	(void)service;
	if (engine->service && slot < engine->service->n_slots)
		adoption_retry(engine->service->instances[slot]);
}

/* ---- requests ---- */

static struct asked *answer(struct request *request, const char *text)
{
	struct asked *asked = container_of(request, struct asked, request);

	if (asked->answered)
		rig_fail(__FILE__, __LINE__, "answered twice: %s; %s", asked->text, text);
	asked->answered = true;
	snprintf(asked->text, sizeof(asked->text), "%s", text);
	return asked;
}

static void on_done(struct request *request, const char *json, int fd)
{
	(void)fd;
	answer(request, json ?: "")->done = true;
}

static void on_fail(struct request *request, enum request_failure failure, const char *sentence)
{
	rig_check(sentence[0]);
	answer(request, sentence)->failure = failure;
}

static void on_actor(const struct request *request, struct journal_actor *ret_actor)
{
	(void)request;
	ret_actor->uid = 0;
}

static bool on_may_see(const struct request *request)
{
	(void)request;
	return true;
}

static bool is_root(const struct request *request)
{
	return !container_of(request, struct asked, request)->is_common;
}

static const struct request_ops request_ops = {
	.done = on_done,
	.fail = on_fail,
	.actor = on_actor,
	.may_see = on_may_see,
	.is_root = is_root,
};

struct asked *engine_ask(struct engine *engine)
{
	struct asked *asked = calloc(1, sizeof(*asked));

	rig_check(asked);
	asked->request.ops = &request_ops;
	asked->next = engine->asked;
	engine->asked = asked;
	return asked;
}

unsigned engine_unanswered(const struct engine *engine)
{
	unsigned n = 0;

	for (const struct asked *asked = engine->asked; asked; asked = asked->next)
		n += !asked->answered;
	return n;
}

/* ---- the beginning ---- */

/* The linker leads borrow_use() here: workers look into instances by themselves, as hsctl does,
 * and not by hs-borrow, which wants to see what only systemd and `hsctl enable` make. */
void __wrap_borrow_use(const char *service);
void __wrap_borrow_use(const char *service)
{
	(void)service;
}

void engine_configure(const char *settings)
{
	FILE *file = fopen(ROOT HS_SYSCONFDIR "/hotstandby/web.conf", "we");

	rig_check(file && fprintf(file, "[Service]\n%s", settings) > 0 && !fclose(file));
}

static void make_root(const char *settings)
{
	rig_check(mount("tmpfs", ROOT, "tmpfs", 0, "mode=0755") == 0);
	rig_check(mkdir(ROOT HS_SYSCONFDIR, 0755) == 0);
	rig_check(mkdir(ROOT HS_SYSCONFDIR "/hotstandby", 0755) == 0);
	configfile_set_root(ROOT);
	engine_configure(settings);
}

/* Workers are the engine's as well. */
static int begin_work(void)
{
	int fd;

	pins_set_waiting(true);
	nth_enter();
	rig_check(work_host_new(true, 0, &fd) == 0);
	nth_leave();
	return fd;
}

static void open_host(struct engine *engine)
{
	struct host *host = &engine->host;
	struct problem problem = {0};
	int work_host = begin_work();

	rig_check(sd_event_new(&engine->event) >= 0);
	*host = (struct host) {
		.ops = &host_ops,
		.parts = HOST_ALL,
		.event = engine->event,
		.nudge = &engine->nudge,
		.next_revisit = &engine->next_revisit,
		.debug = on_debug,
	};
	/* leads nowhere: what would be asked over it is with units.h */
	rig_check(sd_bus_new(&host->bus) >= 0);
	rig_check(workers_new(engine->event, work_host, on_released, engine, &engine->workers) >=
		  0);
	netns_stock_begin(host);
	if (accounting_open(&host->accounting, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "no accounting: %s", problem.text);
	/* as hsd does from here on */
	pins_set_waiting(false);
	if (!engine_lists)
		accounting_load_queues(host->accounting);
	rig_check(hang_watch_new(engine->event, &host->hangs) >= 0);
	host->prober = probes_new(engine->event, &engine->ill);
	units_tell_by(engine->event);
}

struct engine *engine_begin(const char *settings)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	rig_check(engine);
	hosted = engine;
	sources_forget();
	engine->rig = rig_begin();
	engine->is_loud = getenv("ENGINE_DEBUG");
	make_root(settings);
	nth_begin();
	units_begin();
	open_host(engine);
	for (unsigned i = 0; i < ENGINE_SLOTS; i++) {
		struct actor *actor = &engine->actors[i];

		name_unit("web", i, actor->unit, sizeof(actor->unit));
		actor->facts.state = UNIT_DOWN;
	}
	engine_manage(engine);
	return engine;
}

void engine_manage(struct engine *engine)
{
	rig_check(service_new(&engine->host, "web", &engine->service) == 0);
	if (!service_is_open(engine->service))
		rig_fail(__FILE__, __LINE__, "%s", engine->service->problem.text);
}

void engine_leave(struct engine *engine)
{
	struct service *service = engine->service;

	engine->service = NULL;
	nth_enter();
	service_free(service);
	nth_leave();
	rig_check(!engine_unanswered(engine));
}

/* ---- the end ---- */

static void close_host(struct engine *engine)
{
	hang_watch_free(engine->host.hangs);
	probes_free(engine->host.prober);
	netns_stock_done();
	workers_free(engine->workers);
	accounting_free(engine->host.accounting);
	sd_bus_unref(engine->host.bus);
	if (sources_count())
		rig_fail(__FILE__, __LINE__, "%u sources are left", sources_count());
	sd_event_unref(engine->event);
}

void engine_end(struct engine *engine)
{
	struct asked *next;

	engine_leave(engine);
	close_host(engine);
	units_end();
	for (struct asked *asked = engine->asked; asked; asked = next) {
		next = asked->next;
		free(asked);
	}
	rig_end(engine->rig);
	umount2(ROOT, MNT_DETACH);
	free(engine);
}

/* ---- the middle ---- */

/* As systemd does with hsd when hsd has ended because something was wrong. */
static void begin_anew(struct engine *engine)
{
	engine_leave(engine);
	close_host(engine);
	open_host(engine);
	engine_manage(engine);
}

void engine_turn(struct engine *engine)
{
	int r;

	nth_enter();
	r = sd_event_run(engine->event, 10 * USEC_PER_MSEC);
	nth_leave();
	rig_check(r >= 0);
	check_word(engine);
	if (sd_event_get_state(engine->event) == SD_EVENT_FINISHED)
		begin_anew(engine);
	for (unsigned i = 0; !engine->by_hand && i < ENGINE_SLOTS; i++)
		actor_step(engine, i);
}

struct address engine_address(void)
{
	return rig_local(8000);
}

enum slot_state engine_state(const struct engine *engine, unsigned slot)
{
	enum slot_state states[HS_SLOTS_MAX];

	service_states(engine->service, states);
	return states[slot];
}

unsigned engine_active(const struct engine *engine)
{
	return hs_word_active(plane_word(engine->service->plane));
}

bool engine_rests(const struct engine *engine)
{
	const struct service *service = engine->service;
	enum unit_action action;

	for (unsigned i = 0; i < ENGINE_SLOTS; i++)
		if (engine->actors[i].play != PLAY_RUNNING ||
		    units_find_job(engine->actors[i].unit, &action) ||
		    engine_state(engine, i) != SLOT_READY)
			return false;
	return engine_active(engine) < ENGINE_SLOTS && service_busy(service) == SERVICE_IDLE &&
	       !service->holds && !service->ended && !service->events.n && !service->laters &&
	       !host_busy(service->host) && !engine_unanswered(engine);
}

static void print_actor(const struct engine *engine, unsigned slot)
{
	const struct actor *actor = &engine->actors[slot];
	const struct instance *instance = engine->service->instances[slot];
	enum unit_action action = 0;
	bool job = units_find_job(actor->unit, &action);

	fprintf(stderr,
		"# slot %u: play %d, job %d, hook waits %d, slot is %s, adopting %d, problem: %s\n",
		slot, actor->play, job ? (int)action : -1, actor->hook && !actor->hook->answered,
		slot_state_to_string(engine_state(engine, slot)), instance_is_adopting(instance),
		instance->problem.text);
}

void engine_describe(const struct engine *engine)
{
	const struct service *service = engine->service;

	for (unsigned i = 0; service && i < ENGINE_SLOTS; i++)
		print_actor(engine, i);
	if (service)
		fprintf(stderr, "# word %#llx, work %d, held %d, unanswered %u, workers %u\n",
			(unsigned long long)plane_word(service->plane), service_busy(service),
			service->holds != NULL, engine_unanswered(engine),
			host_busy(&engine->host));
}

void engine_give_up(const struct engine *engine, const char *file, int line, const char *condition)
{
	engine_describe(engine);
	rig_fail(file, line, "in vain: %s", condition);
}
