/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One of the calls that the engine makes of libc, libbpf and the event loop fails, the N-th, or
 * the first one of a place in the code. The linker leads them here (Makefile, NTH_WRAP). They are
 * counted in all processes of the engine: in this one from nth_enter() to nth_leave(), and in its
 * workers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* So many different places are told apart. */
#define NTH_PLACES_MAX 1024

/* Once in a program, before the engine has other processes. */
void nth_begin(void);

/* What is done between them is the engine's, but for what is done after nth_pause(), which returns
 * what nth_resume() takes. */
void nth_enter(void);
void nth_leave(void);
bool nth_pause(void);
void nth_resume(bool was_inside);

/* Calls are counted from now on, and no call fails. */
void nth_count(void);
/* The n-th from now on fails, from 1 on. */
void nth_arm(unsigned n, int error);
/* The first one from this place fails. */
void nth_arm_place(const void *place, int error);
/* No call is counted any more. Returns how many there were. */
unsigned nth_disarm(void);
/* The name of the function that failed since it was armed; NULL: none did. */
const char *nth_failed(void);
/* From where calls came since nth_count(), each place once. */
size_t nth_places(const void *places[NTH_PLACES_MAX]);

/* For who stands in for something else: whether this call of his is the one; errno says why. */
bool nth_fails(const char *name, const void *place);
