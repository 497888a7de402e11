"""Who holds a field, read from managedFields, and who else tunes a target. Pure.

Paths are in the notation of FieldsV1: ("f:spec", "f:replicas"), ("f:data", "f:app.yaml").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pegbox.adapters.kube.patches import unmoved
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.ports import FIELD_MANAGER, Kind, Object

Path = tuple[str, ...]

REPLICAS: Path = ("f:spec", "f:replicas")
MIN_REPLICAS: Path = ("f:spec", "f:minReplicas")
MAX_REPLICAS: Path = ("f:spec", "f:maxReplicas")

SCALED_OBJECT = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects")
VPA = Kind("autoscaling.k8s.io/v1", "VerticalPodAutoscaler", "verticalpodautoscalers")
_KEDA_LABEL = "scaledobject.keda.sh/name"
_KEDA_GROUP = "keda.sh/"
_VPA_ANNOTATIONS = frozenset({"vpaUpdates", "vpaObservedContainers", "vpaInPlaceUpdated"})


def data_key(key: str) -> Path:
    """A key of a ConfigMap: owned one by one."""
    return ("f:data", f"f:{key}")


def container_field(container: str, *names: str) -> Path:
    """A field of a container of a workload's template, such as ("resources", "requests", "cpu")."""
    return ("f:spec", "f:template", *pod_field(container, *names))


def pod_field(container: str, *names: str) -> Path:
    """The same of a pod itself."""
    item = "k:" + json.dumps({"name": container}, separators=(",", ":"))
    return ("f:spec", "f:containers", item, *(f"f:{name}" for name in names))


@dataclass(frozen=True, slots=True)
class Owner:
    """One entry of managedFields. The same name owns separately by Apply, by Update and per subresource."""

    manager: str
    operation: str
    subresource: str = ""

    def __str__(self) -> str:
        """As it is recorded: "Apply helm", "Update/scale kubectl"."""
        return f"{self.operation}{'/' if self.subresource else ''}{self.subresource} {self.manager}"

    @classmethod
    def parse(cls, text: str) -> Owner:
        """The reverse of `str`. A bare name, as older ledgers hold, is taken for an Apply."""
        how, space, manager = text.partition(" ")
        if not space:
            return cls(text, "Apply")
        operation, _, subresource = how.partition("/")
        return cls(manager, operation, subresource)


def entries_owning(body: Object, path: Path) -> tuple[Owner, ...]:
    """Every entry that holds the field, something inside it, or a whole (atomic) field around it."""
    found = []
    for entry in body.get("metadata", {}).get("managedFields") or ():
        if _owns(entry.get("fieldsV1") or {}, path):
            found.append(Owner(entry.get("manager", ""), entry.get("operation", ""), entry.get("subresource", "")))
    return tuple(found)


def _owns(tree: Mapping[str, Any], path: Path) -> bool:
    here: Any = tree
    for depth, element in enumerate(path):
        if depth and not here:
            return True  # the entry ends here: it owns everything below as one value
        if element not in here:
            return False
        here = here[element]
    return True


def owners(body: Object, path: Path, *, ours: str = FIELD_MANAGER) -> tuple[str, ...]:
    """The field managers other than us that hold a field, sorted. Empty: nobody objects to an apply."""
    return tuple(sorted({each.manager for each in entries_owning(body, path)} - {ours}))


def ours(body: Object, path: Path, *, manager: str = FIELD_MANAGER) -> bool:
    """Whether we hold the field."""
    return any(each.manager == manager for each in entries_owning(body, path))


def holders(body: Object, path: Path) -> str:
    """Who holds a field, and which, in words; "" where no other manager does."""
    others = owners(body, path)
    field = ".".join(_in_words(element) for element in path)
    return f"field manager {', '.join(others)} holds {field}" if others else ""


def _in_words(element: str) -> str:
    """An element of FieldsV1: `f:data` is a field, `k:{"name":"app"}` an item of a list."""
    sort, _, text = element.partition(":")
    return "/".join(str(each) for each in json.loads(text).values()) if sort == "k" else text


def keda(hpa: Object, path: Path) -> Missing | None:
    """Why KEDA forbids writing a field of an HPA: it puts its own bounds back at once. None where it is not KEDA's."""
    metadata = hpa.get("metadata", {})
    labels: Mapping[str, str] = metadata.get("labels") or {}
    scaled = labels.get(_KEDA_LABEL) or _owner_name(metadata.get("ownerReferences") or (), _KEDA_GROUP)
    if scaled or labels.get("app.kubernetes.io/managed-by") == "keda-operator":
        detail = f"HorizontalPodAutoscaler {metadata.get('name')} belongs to ScaledObject {scaled}"
        return Missing(Reason.OWNED_BY_KEDA, "; ".join(t for t in (detail, holders(hpa, path)) if t))
    return None


def vpa(pods: Iterable[Object]) -> Missing | None:
    """Why a VPA forbids writing resources: it rewrites them at admission and notes so on every pod."""
    for pod in pods:
        metadata = pod.get("metadata", {})
        if _VPA_ANNOTATIONS & (metadata.get("annotations") or {}).keys():
            detail = f"pod {metadata.get('name')} was sized by a VerticalPodAutoscaler"
            held = (
                holders(pod, pod_field(str(each["name"]), "resources"))
                for each in pod.get("spec", {}).get("containers") or ()
            )
            return Missing(Reason.OWNED_BY_VPA, "; ".join([detail, *(text for text in held if text)]))
    return None


def bounds(autoscaler: Object) -> tuple[int, int]:
    """minReplicas and maxReplicas of an HPA."""
    spec = autoscaler["spec"]
    return int(spec.get("minReplicas", 1)), int(spec["maxReplicas"])


def targets(autoscaler: Object, kind: str, name: str) -> bool:
    """Whether an HPA, ScaledObject or VPA acts on this workload."""
    spec = autoscaler.get("spec", {})
    ref = spec.get("scaleTargetRef") or spec.get("targetRef") or {}
    return ref.get("kind", "Deployment") == kind and ref.get("name") == name


def controller(body: Object) -> Mapping[str, Any]:
    """The reference to the object's controller; empty where it has none."""
    references = body.get("metadata", {}).get("ownerReferences") or ()
    return next((each for each in references if each.get("controller")), {})


def controller_uid(body: Object) -> str:
    """The uid of the object's controller; "" where it has none."""
    return str(controller(body).get("uid", ""))


def _owner_name(references: Iterable[Mapping[str, Any]], group: str) -> str:
    return next((str(each["name"]) for each in references if str(each.get("apiVersion", "")).startswith(group)), "")


def applied(body: Object, *, manager: str = FIELD_MANAGER) -> Object:
    """What we applied to an object so far, with the values that stand there now: state it all again in the
    next apply, since whatever an apply leaves out it releases, and a released field vanishes.
    """
    stated: Object = {}
    for entry in body.get("metadata", {}).get("managedFields") or ():
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            stated = _stated(body, entry.get("fieldsV1") or {})
    return stated


def _stated(value: Any, tree: Mapping[str, Any]) -> Any:
    """The part of a value that a FieldsV1 tree names."""
    if not any(element != "." for element in tree):
        return value
    if isinstance(value, Mapping):
        named = ((element[2:], below) for element, below in tree.items() if element.startswith("f:"))
        return {name: _stated(value[name], below) for name, below in named if name in value}
    items = []
    for element, below in tree.items():
        wanted: Any = json.loads(element[2:]) if element != "." else {}
        if element.startswith("v:") and wanted in value:
            items.append(wanted)
        elif element.startswith("k:"):
            items += [_item(each, below, wanted) for each in value if wanted.items() <= each.items()]
    return items


def _item(item: Mapping[str, Any], below: Mapping[str, Any], keys: Mapping[str, Any]) -> Object:
    part = _stated(item, below) if any(element != "." for element in below) else {}
    return {**keys, **part}


def give_back(body: Object, path: Path, to: Owner, *, manager: str = FIELD_MANAGER) -> list[Object]:
    """The JSON patch that moves ownership of a field from us to its recorded owner, after Take.

    It moves no value: put the recorded value back first. Held on Kubernetes 1.36: the owner's next apply of an
    unchanged manifest passes, and a stale resourceVersion makes the patch a conflict.
    """
    metadata = body["metadata"]
    entries: list[Object] = json.loads(json.dumps(metadata.get("managedFields") or []))
    for entry in entries:
        if entry.get("manager") == manager:
            _prune(entry["fieldsV1"], path)
    target = next((each for each in entries if _writer(each) == to), None)
    if target is None:
        target = {"manager": to.manager, "operation": to.operation, "apiVersion": body["apiVersion"]}
        target |= {"fieldsType": "FieldsV1", "fieldsV1": {}}
        target |= {"subresource": to.subresource} if to.subresource else {}
        entries.append(target)
    here = target["fieldsV1"]
    for element in path:
        here = here.setdefault(element, {})
    return [
        *unmoved(body),
        {"op": "replace", "path": "/metadata/managedFields", "value": [each for each in entries if each["fieldsV1"]]},
    ]


def _writer(entry: Mapping[str, Any]) -> Owner:
    return Owner(entry.get("manager", ""), entry.get("operation", ""), entry.get("subresource", ""))


def _prune(tree: dict[str, Any], path: Path) -> None:
    """Take a path out of a FieldsV1 tree, with what becomes empty by it."""
    if len(path) == 1:
        tree.pop(path[0], None)
    elif path[0] in tree:
        _prune(tree[path[0]], path[1:])
        if not tree[path[0]]:
            del tree[path[0]]
