/* A plugin for pppd 2.4.9 that makes the server fail as servers of other
 * makers do. The pppd option
 *   set "TROUBLE=end TEXT"     ends the link after the login, TEXT as the reason
 *   set "TROUBLE=say TEXT"     answers each MS-CHAP or CHAP login with a Failure
 *                              that carries TEXT (such as E=648 R=0 V=3)
 *   set TROUBLE=hang           never answers a login
 *   set TROUBLE=kill           kills pptpctrl instead of answering a login
 *   set TROUBLE=die            kills pppd itself instead
 * says which. new_phase_hook, chap_verify_hook, userenv_list and lcp_close are
 * pppd's; 5 and 7 are its PHASE_AUTHENTICATE and PHASE_NETWORK. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
char pppd_version[] = "2.4.9";
extern void (*new_phase_hook)(int);
extern int (*chap_verify_hook)(char *, char *, int, void *, unsigned char *, unsigned char *, char *, int);
extern struct userenv {
	struct userenv *next;
	char *value;
	unsigned char isset, priv;
	const char *source;
	char name[1];
} *userenv_list;
extern void lcp_close(int, const char *);
static const char *trouble(const char *kind) {
	struct userenv *e;
	size_t n = strlen(kind);
	for (e = userenv_list; e; e = e->next)
		if (!strcmp(e->name, "TROUBLE") && !strncmp(e->value, kind, n))
			return e->value + n + (e->value[n] == ' ');
	return 0;
}
static int verify(char *name, char *ours, int id, void *digest, unsigned char *challenge, unsigned char *response, char *message, int space) {
	if (trouble("hang"))
		for (;;) pause();
	if (trouble("kill")) {
		kill(getppid(), SIGKILL);
		for (;;) pause();
	}
	if (trouble("die")) kill(getpid(), SIGKILL);
	snprintf(message, space, "%s", trouble("say"));
	return 0;
}
static void phase(int p) {
	if (p == 5 && (trouble("say") || trouble("hang") || trouble("kill") || trouble("die"))) chap_verify_hook = verify;
	if (p == 7 && trouble("end")) lcp_close(0, trouble("end"));
}
void plugin_init(void) { new_phase_hook = phase; }
