/* sealock delivery: delivery streams, as Amazon Data Firehose has them. */
#include "delivery.h"

int
cli_delivery(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"create", "make a delivery stream", cli_delivery_create},
		{"list", "list the delivery streams", cli_delivery_list},
		{"describe", "say what a delivery stream is to do", cli_delivery_describe},
		{"update", "change what it does", cli_delivery_update},
		{"delete", "delete a delivery stream", cli_delivery_delete},
		{"status", "how far deliveries are, and what stands in their way",
			cli_delivery_status},
		{"encrypt", "encrypt direct puts under a master key from now on",
			cli_delivery_encrypt},
		{"unencrypt", "seal direct puts under the appliance's own key from now on",
			cli_delivery_unencrypt},
		{"tag", "tag a delivery stream", cli_delivery_tag},
		{"untag", "take tags from a delivery stream", cli_delivery_untag},
		{"tags", "list the tags of a delivery stream", cli_delivery_tags},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Delivery streams: records in batches to stores, databases and search clusters. A "
		"role says what a delivery stream may do; docs/policies.md has the policies that "
		"it "
		"needs.",
		"Example:\n"
		"  sealock delivery create archive --source web --role deliver --bucket archive "
		"--gzip\n"
		"  sealock delivery describe archive\n"
		"  sealock delivery status",
		argc, argv);
}
