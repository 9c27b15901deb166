// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/arguments.h"

#include "hsctl/typed.h"
#include "hsctl/verbs.h"

int arguments_service(const struct arguments *arguments, char ret_service[SERVICE_NAME_MAX],
		      struct problem *problem)
{
	const char *text = arguments->given[0];
	char guess[SERVICE_NAME_MAX];

	if (!name_from_template(text, ret_service))
		return 0;
	if (!name_guess(text, guess))
		return problem_set(problem, -EINVAL,
				   "\"%s\" is not a service; the service is meant: hsctl %s %s",
				   typed_show(text).text, arguments->verb->name, guess);
	return problem_set(problem, -EINVAL, "\"%s\" is not the name of a service; see hsctl list",
			   typed_show(text).text);
}
