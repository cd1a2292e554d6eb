/* sealock delivery: delivery streams, as Amazon Data Firehose has them. */
#include "delivery.h"

int
cli_delivery(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"status", "how far deliveries are, and what stands in their way",
			cli_delivery_status},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Delivery streams: records in batches to stores, databases and search clusters.",
		"Example:\n"
		"  sealock delivery status",
		argc, argv);
}
