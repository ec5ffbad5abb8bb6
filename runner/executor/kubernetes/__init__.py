"""Attempts as Jobs of a Kubernetes cluster.

    manifest    what is created: one Job and one Secret for each attempt
    carrier     what runs in its pod: fetch, work, deliver
    diagnosis   what a pod's status means, and which waiting is hopeless
    parcel      the workspace, packed for the way there and unpacked on the way back
    cluster     the one that speaks to the API server
    executor    the life of one attempt: begin or adopt, follow, end

Nothing here imports the client before a runner is configured for it (`executor.kubernetes.cluster`).
"""
