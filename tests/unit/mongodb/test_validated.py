from typing import Any

from dsi.config.models import MongodbSetup, Validated
from dsi.systems.mongodb import Topology, validated_problems
from dsi.systems.mongodb.validation import validated_nodes

TOPOLOGY = [
    {"cluster_type": "standalone", "id": "alone", "public_ip": "203.0.113.9", "private_ip": "10.0.0.9"},
    {"cluster_type": "replset", "id": "rs0", "mongod": [{"public_ip": "10.0.0.1"}, {"public_ip": "10.0.0.2"}]},
]


NODES = Topology(MongodbSetup.model_validate({"topology": TOPOLOGY})).nodes


def names(**lists: Any) -> set[str] | None:
    wanted = Validated(**lists)
    assert validated_problems(wanted, NODES) == []
    return validated_nodes(wanted, NODES)


def test_nodes_are_listed_by_either_address_and_port_or_by_id() -> None:
    assert names(standalone=["10.0.0.9:27017"]) == {"alone"}
    assert names(standalone=["203.0.113.9:27017"], primaries=["10.0.0.1:27017"]) == {"alone", "rs0.0"}
    assert names(primaries=["alone"]) == {"alone"}


def test_no_list_means_all_and_an_empty_one_none() -> None:
    assert names() is None
    assert names(primaries=[]) == set()


def test_what_is_known_only_after_provisioning_passes() -> None:
    unknown = Validated(primaries=["${infrastructure_provisioning.out.mongod.0.private_ip}:27017"])
    assert validated_problems(unknown, NODES) == []


def test_a_place_where_no_node_is_gets_a_suggestion() -> None:
    (problem,) = validated_problems(Validated(primaries=["10.0.0.1:27017", "10.0.0.2:27018"]), NODES)
    assert problem.path == "mongodb_setup.validate.primaries.1"
    assert 'no node of mongodb_setup.topology is at "10.0.0.2:27018" (did you mean "10.0.0.2:27017"?)' in str(problem)
