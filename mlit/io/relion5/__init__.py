"""STAR files of RELION 5 tomography; what mlit does not know in them is kept."""
