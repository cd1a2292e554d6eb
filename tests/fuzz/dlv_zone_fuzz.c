/* Files of the zone database, as whatever lies there. */
#include <stdlib.h>

#include "delivery/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t instants[] = {0, 1790809139, 4102444799, INT64_C(1) << 40};

	for (size_t i = 0; i < sizeof(instants) / sizeof(instants[0]); i++) {
		struct dlv_zone_moment moment;
		if (dlv_zone_at(slk_span(data, size), instants[i], &moment) == SLK_OK &&
			(abs(moment.offset_s) > 26 * 3600 ||
				strnlen(moment.abbreviation, sizeof(moment.abbreviation)) >=
					sizeof(moment.abbreviation)))
			abort();
	}
	return 0;
}
